"""The clinic's store of diagnoses: one SQLite file and encrypted images, for a number of days."""
