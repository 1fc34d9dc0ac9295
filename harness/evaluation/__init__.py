"""Protocols over the validation images: crops, batches, predictions."""
