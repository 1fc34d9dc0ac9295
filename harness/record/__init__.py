"""What a run leaves behind: events, journal, predictions, the MLflow mirror and bundles."""
