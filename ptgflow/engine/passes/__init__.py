"""One model pass over rows with lengths of their own: as transformers wrote the model, or written out for speed."""
