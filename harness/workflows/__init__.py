"""One file per job that a command starts; wiring only."""
