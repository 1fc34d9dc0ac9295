"""One run of a recipe, seed by seed: checked, trained, evaluated, recorded, gone on with."""
