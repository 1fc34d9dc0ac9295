"""From what people have on disk to the batches of a step: sources, manifest, order, pixels."""
