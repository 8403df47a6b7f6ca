"""How a handler of the clinic's ClientApp replies: with its result, or with no more than an error's type."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from flwr.app import Context, Error, Message, RecordDict

from dermafed.shared.errors import DermaFedError, FederationError
from dermafed.shared.protocol.messages import Refusal

T = TypeVar("T")

log = logging.getLogger("dermafed.client")


class NotApproved(FederationError):
    """The server asks for something that the clinic did not approve."""


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What the work returns, and its seconds."""
    start = time.monotonic()
    return work(), time.monotonic() - start


def replies(
    refusal: Refusal,
) -> Callable[[Callable[[Message, Context], RecordDict]], Callable[[Message, Context], Message]]:
    """Reply with what a function returns, or with its exception's type only: the text stays here."""

    def decorate(function: Callable[[Message, Context], RecordDict]) -> Callable[[Message, Context], Message]:
        def reply(message: Message, context: Context) -> Message:
            what, code = refusal.name.replace("_", " ").lower(), refusal
            try:
                return Message(function(message, context), reply_to=message)
            except NotApproved as error:
                code, reason = Refusal.NOT_APPROVED, type(error).__name__
                log.warning("not approved: %s", error)
            except DermaFedError as error:
                reason = type(error).__name__
                log.error("%s: %s", what, error)
            except Exception as error:
                reason = type(error).__name__
                log.exception("%s", what)
            return Message(Error(code=int(code), reason=reason), reply_to=message)

        return reply

    return decorate
