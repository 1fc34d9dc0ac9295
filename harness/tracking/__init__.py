"""The mirror of journals in MLflow, and MLflow's own interface."""
