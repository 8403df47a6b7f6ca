"""Flower's state and handlers in this process: the only place with its private names on the server."""
