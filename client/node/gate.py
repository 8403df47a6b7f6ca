"""The one gate through which a reply leaves the clinic: what the message definitions name, and nothing else.

A reply is decoded as the server would decode it and encoded anew; both must be the same object, down to the
last byte. Whatever does not pass is replaced by an error that says nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from flwr.app import Error, Message, MessageType, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    decode_answer,
    decode_ready,
    encode_answer,
    encode_ready,
    installed_versions,
)
from dermafed.shared.protocol.messages import (
    CALIBRATE_QUERY,
    CALIBRATION_QUERY,
    EXPLAIN_QUERY,
    Refusal,
    decode_calibration_sums,
    decode_evaluation,
    decode_explanation_quality,
    decode_instruction,
    decode_update,
    encode_calibration_sums,
    encode_evaluation,
    encode_explanation_quality,
    encode_update,
)

METRICS = {"loss"}
"""What a training may report by name."""

_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

log = logging.getLogger("dermafed.client")


def filter_reply(reply: Message, asked: Message, classes: int | None) -> Message:
    """The reply, if it holds what its kind may hold and nothing else; otherwise an error.

    Args:
        reply: what the clinic's code wants to send.
        asked: the message that it answers.
        classes: of the run's model; ``None`` where the clinic was never asked about the run.
    """
    if reply.has_error():
        return _bare_error(reply.error, asked)
    try:
        anew = _encoded_anew(reply.content, asked, classes)
    except Exception as error:  # whatever cannot be read back does not leave
        return _held_back(asked, type(error).__name__)
    if anew.object_id != reply.content.object_id:
        return _held_back(asked, "it holds more than its kind may")
    return Message(anew, reply_to=asked)


def _encoded_anew(content: RecordDict, asked: Message, classes: int | None) -> RecordDict:
    encode = _KINDS.get(asked.metadata.message_type)
    if encode is None or (classes is None and encode is not _answer):
        raise FederationError("There is nothing to say to this message")
    return encode(content, asked, classes or 0)  # an unreadable offer is refused, without any counts


def _update(content: RecordDict, asked: Message, classes: int) -> RecordDict:
    update, seconds = decode_update(content, decode_instruction(asked.content).weights.size)
    _only(update.metrics, METRICS)
    return encode_update(update, seconds)


def _evaluation(content: RecordDict, asked: Message, classes: int) -> RecordDict:
    return encode_evaluation(*decode_evaluation(content, classes))


def _explanation(content: RecordDict, asked: Message, classes: int) -> RecordDict:
    return encode_explanation_quality(*decode_explanation_quality(content))


def _calibration_sums(content: RecordDict, asked: Message, classes: int) -> RecordDict:
    return encode_calibration_sums(*decode_calibration_sums(content, classes))


def _answer(content: RecordDict, asked: Message, classes: int) -> RecordDict:
    answer = decode_answer(content, classes)
    _only(answer.versions.items(), installed_versions().items())
    return encode_answer(answer)


def _ready(content: RecordDict, asked: Message, classes: int) -> RecordDict:
    return encode_ready(decode_ready(content))


_KINDS: dict[str, Callable[[RecordDict, Message, int], RecordDict]] = {
    MessageType.TRAIN: _update,
    MessageType.EVALUATE: _evaluation,
    EXPLAIN_QUERY: _explanation,
    CALIBRATE_QUERY: _calibration_sums,
    CALIBRATION_QUERY: _ready,
    OFFER_QUERY: _answer,
    PREPARE_QUERY: _ready,
}


def _only(found: object, allowed: object) -> None:
    if not set(found) <= set(allowed):  # type: ignore[call-overload]
        raise FederationError("It names something that is not on the list")


def _bare_error(error: Error, asked: Message) -> Message:
    """An error's code and type name; any other text stays here."""
    reason = error.reason if _TYPE_NAME.fullmatch(error.reason or "") else None
    return Message(Error(code=int(error.code), reason=reason), reply_to=asked)


def _held_back(asked: Message, why: str) -> Message:
    log.error("a reply to %s was held back: %s", asked.metadata.message_type, why)
    return Message(Error(code=int(Refusal.HELD_BACK), reason="HeldBack"), reply_to=asked)
