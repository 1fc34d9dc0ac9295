"""Recipes of published results, one file for each source."""
