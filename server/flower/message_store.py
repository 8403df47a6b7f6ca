"""Store, await, read and delete messages in Flower's state.

Flower stores a message apart from its objects, which are its records and the chunks of its arrays. A clinic's
reply arrives before its objects, and nothing is deleted automatically.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from flwr.app import Message
from sqlalchemy.exc import SQLAlchemyError

from dermafed.server.flower.private_names import (
    LinkState,
    get_all_nested_objects,
    get_object_tree,
    inflate,
    iterate_object_tree,
    label,
    no_object_id_recompute,
    remove_content_from_message,
)
from dermafed.shared.errors import StorageError

_BUSY_SECONDS = 60.0

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn errors of Flower's database into a StorageError."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StorageError(
            f"Flower's database cannot be used ({type(error).__name__})",
            where="flower.db",
            remedy="Check that its disk is not full and its folder can be written",
        ) from error


def _retry_while_busy(call: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """Retry while the database is busy, which under load takes longer than Flower waits."""

    @wraps(call)
    def retrying(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        end = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                with database_errors():
                    return call(*args, **kwargs)
            except StorageError as error:
                if "is locked" not in str(error.__cause__) or time.monotonic() > end:
                    raise
            time.sleep(0.1)

    return retrying


@_retry_while_busy
def store_message(
    state: LinkState,
    run_id: int,
    message: Message,
    announce: Callable[[str, Message], None] = lambda message_id, message: None,
) -> str | None:
    """Store a message for its node.

    Args:
        state: Flower's state.
        run_id: the open run.
        message: the message.
        announce: told of its id before anyone can answer it.

    Returns:
        Its id, or ``None`` if the state refused it: the node was removed, or the run has ended.

    Raises:
        StorageError: the database cannot be written.
    """
    with no_object_id_recompute():
        message_id = label(message)
        announce(message_id, message)
        objects = get_all_nested_objects(message)
        session = state.start_session(run_id)
        stored, missing = state.store_message_and_object_tree(
            remove_content_from_message(message), get_object_tree(message), session
        )
        for key in missing:
            stored = stored and state.store_object(run_id, session, key, objects[key].deflate())
        return message_id if stored else None


@_retry_while_busy
def take_reply(state: LinkState, run_id: int, message_id: str) -> Message | None:
    """The reply to a message, without its content, or Flower's error if there will be none; only once.

    Raises:
        StorageError: the database cannot be used.
    """
    return next(iter(state.get_message_res({message_id}, run_id)), None)


@_retry_while_busy
def missing_objects(state: LinkState, keys: Iterable[str]) -> set[str]:
    """The objects that have not arrived."""
    return {key for key in keys if not state.object_store.get(key)}


@_retry_while_busy
def object_keys(state: LinkState, message_id: str) -> set[str]:
    """The ids of a message's objects."""
    return {node.object_id for node in iterate_object_tree(state.object_store.get_object_tree(message_id))}


def read_message(state: LinkState, message_id: str) -> Message:
    """Read a message whose objects have all arrived.

    Raises:
        Exception: of any kind, if the objects are not a message; a clinic can send anything.
    """
    contents = {key: state.object_store.get(key) or b"" for key in object_keys(state, message_id)}
    return inflate(message_id, contents)


@_retry_while_busy
def delete_message(state: LinkState, message_id: str) -> None:
    """Delete a message and its reply, and the objects of the message that no other shares."""
    state.delete_messages({message_id})
    state.object_store.delete(message_id)


@_retry_while_busy
def delete_objects(state: LinkState, reply_id: str) -> None:
    """Delete a reply's objects; see :func:`dermafed.server.flower.node_objects.objects_of`."""
    state.object_store.delete(reply_id)
