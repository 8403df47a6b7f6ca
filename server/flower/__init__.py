"""Flower's SuperLink in this process: the only place with Flower's private names on the server."""
