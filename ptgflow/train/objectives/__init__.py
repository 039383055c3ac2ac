"""What heads are trained for: one file for each kind, with its published loss."""
