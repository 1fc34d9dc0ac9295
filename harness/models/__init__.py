"""Networks by name: residual networks of every published variant, their weights and their sizes."""
