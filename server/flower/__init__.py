"""Flower's SuperLink in this process: the only place that imports Flower's private names."""
