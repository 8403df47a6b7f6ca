"""What the clinic keeps of its diagnoses: in one SQLite file and encrypted images, for so many days."""

from client.store.opinion import Look, Opinion
from client.store.store import Store, open_store

__all__ = ["Look", "Opinion", "Store", "open_store"]
