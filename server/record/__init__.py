"""The record of a federation: its clinics, runs, rounds and answers, in one SQLite file.

The commands and the server share it, and say nothing to each other but through it: who may write the file
may command the server."""
