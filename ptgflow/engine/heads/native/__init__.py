"""Prediction modules that a checkpoint brings along, translated into heads: one module a family."""
