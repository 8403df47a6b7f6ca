"""A run on one machine: prepare the clinics, train the arms, test them once, report."""
