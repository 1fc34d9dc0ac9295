"""Networks, their catalogue, and weights in and out."""
