"""Operation counts, machine peaks and the environment."""
