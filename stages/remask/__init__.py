"""The bridge from a text to a canvas: `spec` is its table of methods."""
