"""Training of heads: prompts, answers of the target itself, and what is learnt from them."""
