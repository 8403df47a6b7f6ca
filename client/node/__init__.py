"""The clinic's node: a supervisor with two processes, Flower's SuperNode and the worker that trains."""
