"""Rules that bear hostile clinics, in place of the mean: pure functions over the steps of a round."""
