"""One-shot generation: what is read off the predictions of a single pass. No model inside."""
