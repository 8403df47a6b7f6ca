"""Studies: many runs asked for by one file, judged together."""
