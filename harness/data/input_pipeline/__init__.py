"""Which image stands where, and the batches of a step, inside the graph."""
