"""The record of a federation: its clinics, runs, rounds and answers, in one SQLite file.

The server and the commands communicate only through it: whoever can write the file controls the server.
"""
