"""What the clinic keeps of its diagnoses: in one SQLite file and encrypted images, for so many days."""
