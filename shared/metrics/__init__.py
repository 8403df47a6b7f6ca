"""What is reported about a classifier, and how it is merged across clinics."""
