"""The clinic's node in use: its page and its API, over HTTPS."""
