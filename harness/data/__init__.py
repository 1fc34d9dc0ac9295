"""From listed images to the batches of a step: manifest, order, pixels."""
