"""Steps of a run computed again, compared with its journal, and what parted explained."""
