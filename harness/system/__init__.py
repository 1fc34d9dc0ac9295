"""What surrounds this process: its children, signals, streams, secrets and folders."""
