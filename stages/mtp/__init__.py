"""The mtp paradigm: `spec` is its table of methods."""
