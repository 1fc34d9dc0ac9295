"""What a run leaves behind: events, journal, predictions, certificates and bundles."""
