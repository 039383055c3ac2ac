"""Generation over canvases: predict every hole, choose what to write, choose what to open again."""
