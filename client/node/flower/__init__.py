"""The only place of the client that imports Flower's private names."""
