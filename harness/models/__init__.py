"""Networks by name: residual networks of every published variant and their sizes."""
