"""Decomposition-and-fill (survey section 3.2): one prompt or text becomes a family that is worked on side by side."""
