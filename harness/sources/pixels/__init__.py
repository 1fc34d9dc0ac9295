"""Pixels of many small images in a few files, written as PNG."""
