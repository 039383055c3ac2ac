"""From files and overrides to a validated recipe. The files themselves are in `recipes/`."""
