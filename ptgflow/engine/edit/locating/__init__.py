"""Locate and revise: a model says what is unlikely in a text, and what would be likelier."""
