"""Readers: what each decoder makes of a window that one pass has filled."""
