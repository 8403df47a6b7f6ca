"""Store, await, read and delete messages in Flower's state.

Flower stores a message apart from its objects, which are its records and the chunks of its arrays. A clinic's
reply arrives before its objects, and nothing is deleted automatically.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from flwr.app import Message

from dermafed.server.flower.private_names import (
    get_all_nested_objects,
    get_object_tree,
    hashed_once,
    inflate,
    iterate_object_tree,
    label,
    remove_content_from_message,
)
from dermafed.server.flower.served_state import ServedState
from dermafed.shared.errors import StorageError
from dermafed.shared.storage.atomic_files import unwritable


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn errors of the files of large objects into a StorageError."""
    try:
        yield
    except OSError as error:
        raise unwritable(error, error.filename or "the server's folder") from error


def store_message(
    state: ServedState,
    run_id: int,
    message: Message,
    announce: Callable[[str, Message], None] = lambda message_id, message: None,
    hashed: set[str] | None = None,
) -> str | None:
    """Store a message for its node.

    Args:
        state: Flower's state.
        run_id: the open run.
        message: the message.
        announce: told of its id before anyone can answer it.
        hashed: hashes of objects that it shares with earlier messages, unchanged since; its own are added.

    Returns:
        Its id, or ``None`` if the state refused it: the node was removed, or the run has ended.

    Raises:
        StorageError: the disk cannot be written.
    """
    with hashed_once(set() if hashed is None else hashed):
        message_id = label(message)
        announce(message_id, message)
        objects = get_all_nested_objects(message)
        session = state.start_session(run_id)
        stored, missing = state.store_message_and_object_tree(
            remove_content_from_message(message), get_object_tree(message), session
        )
        for key in dict.fromkeys(missing):
            # Flower logs why it cannot, and says only that.
            if not state.store_object(run_id, session, key, objects[key].deflate()):
                raise StorageError(
                    "A message cannot be stored while it is under way",
                    where="the server's folder",
                    remedy="Check that its disk is not full and that it can be written",
                )
        return message_id if stored else None


def take_reply(state: ServedState, run_id: int, message_id: str) -> Message | None:
    """The reply to a message, without its content, or Flower's error if there will be none; only once."""
    return next(iter(state.get_message_res({message_id}, run_id)), None)


def missing_objects(state: ServedState, keys: Iterable[str]) -> set[str]:
    """The objects that have not arrived."""
    return {key for key in keys if not state.object_store.has(key)}


def object_keys(state: ServedState, message_id: str) -> set[str]:
    """The ids of a message's objects."""
    return {node.object_id for node in iterate_object_tree(state.object_store.get_object_tree(message_id))}


def read_message(state: ServedState, message_id: str) -> Message:
    """Read a message whose objects have all arrived.

    Raises:
        Exception: of any kind, if the objects are not a message; a clinic can send anything.
    """
    with disk_errors():
        contents = {key: state.object_store.get(key) or b"" for key in object_keys(state, message_id)}
    return inflate(message_id, contents)


def delete_message(state: ServedState, message_id: str) -> None:
    """Delete a message and its reply, and the objects of the message that no other shares."""
    state.delete_messages({message_id})
    state.object_store.delete(message_id)


def delete_objects(state: ServedState, reply_id: str) -> None:
    """Delete a reply's objects; see :func:`dermafed.server.flower.node_objects.objects_of`."""
    state.object_store.delete(reply_id)
