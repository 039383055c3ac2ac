"""What parts that were written side by side do not know of one another: repeated sentences, and how lists are set."""
