"""Counts of ImageNet (ILSVRC 2012), from the development kit's text and the TFDS builder."""

TRAIN_IMAGES = 1_281_167
VAL_IMAGES = 50_000
CLASSES = 1_000
