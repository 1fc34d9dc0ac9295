"""What several workers yield, measured here."""
