"""Pure statistics: plain floats in, frozen results out. Formula and source in each docstring."""
