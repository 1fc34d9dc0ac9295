"""From journals on disk to judgements, comparisons, pages and bundles. Needs no TensorFlow."""
