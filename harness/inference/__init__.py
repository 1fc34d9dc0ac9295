"""Trained weights asked for answers: evaluated, shown images, exported."""
