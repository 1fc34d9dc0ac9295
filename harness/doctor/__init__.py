"""What a machine has, what the main job will do with it, and what is wrong with it."""
