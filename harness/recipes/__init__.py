"""Recipes and protocols: frozen values that decide what a number means."""
