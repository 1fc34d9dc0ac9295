"""Whether speed was lost between two revisions."""
