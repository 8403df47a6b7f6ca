"""What comes to a clinic's node from outside, made safe: from bytes to pixels, and nothing else kept."""
