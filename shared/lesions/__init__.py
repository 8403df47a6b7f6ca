"""Lesion records: reading data sets, diagnoses and class maps, splits without leaks."""
