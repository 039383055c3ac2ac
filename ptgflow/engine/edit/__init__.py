"""Edit-based refinement: texts go round by round through an editor until nothing changes."""
