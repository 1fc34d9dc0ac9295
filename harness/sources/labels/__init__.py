"""Label and list files, and where they lie."""
