"""Drafts of whole models: smaller ones, and parts of the target itself."""
