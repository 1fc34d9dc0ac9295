"""Commands that compute steps again."""
