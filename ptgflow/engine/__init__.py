"""The engine: models and their tokenizers, and the loops that decode with them."""
