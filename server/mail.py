"""Messages in Flower's state: stored, awaited, read and deleted.

Flower keeps a message apart from its objects, the records and chunks of arrays it is made of. A clinic's
reply is there before its objects are, and nothing is deleted unless one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from flwr.app import Message
from sqlalchemy.exc import SQLAlchemyError

from server.flower_internals import (
    LinkState,
    get_all_nested_objects,
    get_object_tree,
    inflate,
    iterate_object_tree,
    label,
    no_object_id_recompute,
    remove_content_from_message,
)
from shared.errors import StorageError


def store_message(state: LinkState, run_id: int, message: Message) -> str | None:
    """Put a message where its node finds it.

    Returns:
        Its id, or ``None`` if the state refused it: the node was removed, or the run is over.

    Raises:
        StorageError: the database cannot be written.
    """
    with no_object_id_recompute(), database_errors():
        message_id = label(message)
        objects = get_all_nested_objects(message)
        session = state.start_session(run_id)
        stored, lacking = state.store_message_and_object_tree(
            remove_content_from_message(message), get_object_tree(message), session
        )
        for key in lacking:
            stored = stored and state.store_object(run_id, session, key, objects[key].deflate())
        return message_id if stored else None


def take_reply(state: LinkState, run_id: int, message_id: str) -> Message | None:
    """The reply to a message, without its content, or Flower's error if there will be none; once.

    Raises:
        StorageError: the database cannot be used.
    """
    with database_errors():
        return next(iter(state.get_message_res({message_id}, run_id)), None)


def lacking_objects(state: LinkState, keys: Iterable[str]) -> set[str]:
    """Those objects that have not arrived."""
    with database_errors():
        return {key for key in keys if not state.object_store.get(key)}


def object_keys(state: LinkState, message_id: str) -> set[str]:
    """The ids of the objects that a message is made of."""
    with database_errors():
        return {
            node.object_id for node in iterate_object_tree(state.object_store.get_object_tree(message_id))
        }


def read_message(state: LinkState, message_id: str) -> Message:
    """A message whose objects have all arrived.

    Raises:
        Exception: of any kind, if the objects make no message; a clinic sends what it likes.
    """
    contents = {key: state.object_store.get(key) or b"" for key in object_keys(state, message_id)}
    return inflate(message_id, contents)


def delete_message(state: LinkState, message_id: str, reply_id: str | None = None) -> None:
    """Forget a message, its reply, and the objects that no other message shares."""
    with database_errors():
        state.delete_messages({message_id})
        for key in filter(None, (message_id, reply_id)):
            state.object_store.delete(key)


@contextmanager
def database_errors() -> Iterator[None]:
    """Say what it means that Flower's database failed."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StorageError(
            f"Flower's database cannot be used ({type(error).__name__})",
            where="flower.db",
            remedy="See that its disk is not full and its folder can be written",
        ) from error
