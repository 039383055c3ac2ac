"""From a flow to a program: passes over a graph, with every finding collected."""
