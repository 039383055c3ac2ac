"""From a program to a plan: which loop runs where, and what it needs."""
