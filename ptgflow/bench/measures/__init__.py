"""How good a text is: pure functions over texts, and the target's own judgement."""
