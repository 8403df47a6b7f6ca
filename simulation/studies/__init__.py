"""Studies: many runs of one file, and the analyses that compare them."""
