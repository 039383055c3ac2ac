"""Recipes side by side: the same requests, one process, taking turns; what each costs and how good its text is."""
