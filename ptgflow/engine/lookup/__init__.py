"""Drafts that are looked up: what followed the same tokens here, in earlier texts, or in a collection of texts."""
