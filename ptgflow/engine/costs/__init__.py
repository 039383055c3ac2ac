"""What passes cost on this device, what drafts are worth in this text, and how wide a draft is therefore verified."""
