"""The edit paradigm: `spec` is its table of methods."""
