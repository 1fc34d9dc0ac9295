"""One image file: its header, what is done with it, its conversion and its pixels."""
