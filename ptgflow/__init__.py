"""Compose parallel text generation from typed stages."""
