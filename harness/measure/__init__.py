"""Operation counts, machine peaks, energy and the environment."""
