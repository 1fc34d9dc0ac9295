"""Commands that ask or write trained weights."""
