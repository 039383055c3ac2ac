"""Checkpoints of masked models that transformers computes under other names of settings and weights."""
