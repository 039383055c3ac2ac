"""The intermediate representation on networkx, and its pictures."""
