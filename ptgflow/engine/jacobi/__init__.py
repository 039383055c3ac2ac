"""Drafts by parallel fixed-point iteration: what the target says of a guess is the next guess."""
