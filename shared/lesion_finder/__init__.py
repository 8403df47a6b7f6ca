"""Where the lesion is: a linear finder on a classifier's own maps, fitted by sums over clinics."""
