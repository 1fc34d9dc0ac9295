"""Where images come from: every layout that people have, told apart by content."""
