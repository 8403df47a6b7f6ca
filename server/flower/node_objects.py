"""Flower's store of objects, in which each clinic's replies are apart from everything else.

Flower has one store for all, by the hash of an object's content, and believes whoever first registers a hash
about its parts: a clinic that registers the hash of another's reply keeps that reply out. Here every sender
has names of its own, which nobody else can compute.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b

from dermafed.server.flower.private_names import (
    ObjectStore,
    ObjectTree,
    get_object_id,
    validate_object_content,
)
from dermafed.server.flower.spooled_objects import SpooledObjects

_sender: ContextVar[int | None] = ContextVar("sender", default=None)


@contextmanager
def objects_of(node_id: int) -> Iterator[None]:
    """Within it, objects are those that a node has sent; outside, those of the server's own messages."""
    token = _sender.set(node_id)
    try:
        yield
    finally:
        _sender.reset(token)


class NodeObjectStore(ObjectStore):
    """A store over Flower's, with names of its own for each sender.

    Args:
        inner: Flower's store, which checks no object's content: that is done here.
    """

    def __init__(self, inner: SpooledObjects) -> None:
        self._inner = inner
        self._secret = secrets.token_bytes(32)  # runs do not outlive the process, and nor do their replies

    def preregister(self, run_id: int, object_tree: ObjectTree) -> list[str]:
        """The objects of a tree that have not arrived from this sender."""
        return [self._name(name) for name in self._inner.preregister(run_id, self._tree(object_tree))]

    def get_object_tree(self, object_id: str) -> ObjectTree:
        """An object and its parts."""
        return self._tree(self._inner.get_object_tree(self._name(object_id)))

    def put(self, object_id: str, object_content: bytes) -> None:
        """Store an object that was registered; what is another's is checked."""
        if _sender.get() is not None:
            if object_id != get_object_id(object_content):
                raise ValueError("The object's id is not the hash of its content")
            validate_object_content(content=object_content)
        self._inner.put(self._name(object_id), object_content)

    def get(self, object_id: str) -> bytes | None:
        """An object's content; empty: it has not arrived."""
        content: bytes | None = self._inner.get(self._name(object_id))
        return content

    def small(self, object_id: str) -> bytes:
        """An object's content if it is there and in memory; empty otherwise."""
        return self._inner.small(self._name(object_id))

    def has(self, object_id: str) -> bool:
        """Whether an object has arrived."""
        return self._inner.has(self._name(object_id))

    def delete(self, object_id: str) -> None:
        """Delete an object and the parts that no other object of this sender has."""
        self._inner.delete(self._name(object_id))

    def delete_objects_in_run(self, run_id: int) -> None:
        """Delete all objects of a run, whoever sent them."""
        self._inner.delete_objects_in_run(run_id)

    def clear(self) -> None:
        """Delete everything."""
        self._inner.clear()

    def __contains__(self, object_id: str) -> bool:
        return self._name(object_id) in self._inner

    def __len__(self) -> int:
        return len(self._inner)

    def _tree(self, tree: ObjectTree) -> ObjectTree:
        children = [self._tree(child) for child in tree.children]
        return ObjectTree(object_id=self._name(tree.object_id), children=children)

    def _name(self, object_id: str) -> str:
        """The sender's name of an object, or the object of a sender's name: the same function back."""
        sender = _sender.get()
        if sender is None or len(object_id) != 64:
            return object_id
        pad = blake2b(str(sender).encode(), key=self._secret, digest_size=32).digest()
        return f"{int(object_id, 16) ^ int.from_bytes(pad):064x}"
