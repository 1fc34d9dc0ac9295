"""Throughput of the input, the step, the evaluation and the record, each beside its ceiling."""
