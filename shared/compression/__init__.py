"""Changes of weights in few bits: a public rotation, secret rounding to one step, packed bits."""
