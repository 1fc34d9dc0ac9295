"""Many seeds as many jobs, and the whole job in one command."""
