"""Loss, schedule, optimizer, step, checkpoint and loop."""
