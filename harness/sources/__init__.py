"""Where images come from: every layout that people have, recognised by content."""
