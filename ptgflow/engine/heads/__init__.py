"""Heads: small networks that read a target's hidden states and foresee its next tokens."""
