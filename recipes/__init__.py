"""Recipe files and their groups; data, never code."""
