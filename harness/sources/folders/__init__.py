"""Folders of images as they lie there: listing, names, places and layout."""
