"""The oneshot paradigm: `spec` is its table of methods."""
