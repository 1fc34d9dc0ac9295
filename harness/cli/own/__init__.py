"""Commands that write files of one's own: a recipe, a target."""
