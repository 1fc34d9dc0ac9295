"""What a network answers: evaluation protocols, per-image predictions, single images."""
