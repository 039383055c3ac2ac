"""The masked paradigm: `spec` is its table of methods."""
