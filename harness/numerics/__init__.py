"""Seeds, determinism pins and tensor fingerprints."""
