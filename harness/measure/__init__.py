"""Clock, operation counts, machine peaks and the environment."""
