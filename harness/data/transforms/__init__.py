"""What is done to an image's pixels, in training and in evaluation."""
