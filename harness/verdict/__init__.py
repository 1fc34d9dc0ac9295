"""Pure functions from journals and baselines to judgements."""
