"""Weight files of every format: what they hold, what they fit, how they are written."""
