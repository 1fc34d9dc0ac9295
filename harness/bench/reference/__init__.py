"""The reference's own input and step, written anew: what ours are held against."""
