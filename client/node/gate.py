"""The gate that every reply passes: only what the message definitions name leaves the clinic.

A reply is decoded as the server would decode it and encoded again; both must be the same object, down to the
last byte. Whatever does not pass is replaced by an error without details.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from flwr.app import Error, Message, MessageType, RecordDict

from dermafed.client.node.sum_gate import SUM_ANSWERS, Encode
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Answer,
    decode_answer,
    decode_ready,
    encode_answer,
    encode_ready,
    installed_versions,
)
from dermafed.shared.protocol.audit_messages import decode_shortcut_sums, encode_shortcut_sums
from dermafed.shared.protocol.calibration_messages import decode_calibration_sums, encode_calibration_sums
from dermafed.shared.protocol.count_messages import (
    COUNTS_QUERY,
    DRIFT_QUERY,
    decode_lesion_counts,
    decode_monthly_counts,
    encode_lesion_counts,
    encode_monthly_counts,
)
from dermafed.shared.protocol.explanation_messages import (
    decode_explanation_quality,
    encode_explanation_quality,
)
from dermafed.shared.protocol.finder_messages import decode_finder_sums, encode_finder_sums
from dermafed.shared.protocol.head_messages import decode_head_sums, encode_head_sums
from dermafed.shared.protocol.ledger_messages import LEDGER, decode_head, without
from dermafed.shared.protocol.messages import (
    AUDIT_QUERY,
    CALIBRATE_QUERY,
    CALIBRATION_QUERY,
    EXPLAIN_QUERY,
    FINDER_QUERY,
    HEAD_TRAIN,
    LESIONS_QUERY,
    OFFSETS_QUERY,
    SCORES_QUERY,
    SLOPES_TRAIN,
    Refusal,
    decode_evaluation,
    decode_instruction,
    decode_update,
    encode_evaluation,
    encode_update,
)
from dermafed.shared.protocol.offset_messages import (
    decode_offset_sums,
    decode_offsets_request,
    encode_offset_sums,
    offsets_from_config,
)
from dermafed.shared.protocol.score_messages import decode_scores, encode_scores
from dermafed.shared.protocol.slope_messages import (
    decode_slope_sums,
    decode_slopes_request,
    encode_slope_sums,
)
from dermafed.shared.protocol.sum_messages import SUMMED

METRICS = {"loss"}
"""The metrics that a training may report."""

_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

log = logging.getLogger("dermafed.client")


def filter_reply(reply: Message, request: Message, classes: int | None, *, secure: bool = False) -> Message:
    """The reply, if it contains what its kind may contain and nothing else; otherwise an error.

    Args:
        reply: the message that the clinic's code wants to send.
        request: the message that it answers.
        classes: number of classes of the run's model; ``None`` if the run was never offered to the clinic.
        secure: whether the run's plan has secure sums: then no value leaves in clear.
    """
    if reply.has_error():
        return _bare_error(reply.error, request)
    try:
        again = _encode_again(reply.content, request, classes, _SECURE_KINDS if secure else _KINDS)
    except Exception as error:  # what cannot be decoded does not leave
        return _blocked(request, type(error).__name__)
    if again.object_id != reply.content.object_id:
        return _blocked(request, "it contains more than its kind may")
    return Message(again, reply_to=request)


def _encode_again(
    content: RecordDict, request: Message, classes: int | None, kinds: Mapping[str, Encode]
) -> RecordDict:
    if LEDGER in content and (kinds is _KINDS or request.metadata.message_type in SUMMED.values()):
        record = content[LEDGER]
        decode_head(content)
        again = _encode_again(without(content, LEDGER), request, classes, kinds)
        return RecordDict({**again, LEDGER: record})
    encode = kinds.get(request.metadata.message_type)
    if encode is None or (classes is None and encode not in _OF_NO_RUN):
        raise FederationError("There is no reply to this message")
    return encode(content, request, classes or 0)  # an unreadable offer is refused, without any counts


def _update(content: RecordDict, request: Message, classes: int) -> RecordDict:
    update, seconds = decode_update(content, decode_instruction(request.content).weights.size)
    _only(update.metrics, METRICS)
    return encode_update(update, seconds)


def _head_sums(content: RecordDict, request: Message, classes: int) -> RecordDict:
    parameters = decode_instruction(request.content).weights.size
    return encode_head_sums(*decode_head_sums(content, classes, parameters))


def _slope_sums(content: RecordDict, request: Message, classes: int) -> RecordDict:
    kernel = decode_slopes_request(request.content).head.kernel
    return encode_slope_sums(*decode_slope_sums(content, (len(kernel) + 1, classes)))


def _evaluation(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return encode_evaluation(*decode_evaluation(content, classes))


def _explanation(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return encode_explanation_quality(*decode_explanation_quality(content))


def _calibration_sums(content: RecordDict, request: Message, classes: int) -> RecordDict:
    offsets = offsets_from_config(decode_instruction(request.content).config)
    return encode_calibration_sums(*decode_calibration_sums(content, classes, offsets))


def _offset_sums(content: RecordDict, request: Message, classes: int) -> RecordDict:
    point = decode_offsets_request(request.content).point
    point.validate(classes)
    return encode_offset_sums(*decode_offset_sums(content, point))


def _scores(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return encode_scores(*decode_scores(content))


def _finder_sums(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return encode_finder_sums(*decode_finder_sums(content))


def _shortcut_sums(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return encode_shortcut_sums(*decode_shortcut_sums(content))


def _answer(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return _answer_again(decode_answer(content, classes))


def _answer_without_counts(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return _answer_again(decode_answer(content, classes, counted=False))


def _answer_again(answer: Answer) -> RecordDict:
    _only(answer.versions.items(), installed_versions().items())
    return encode_answer(answer)


def _lesion_counts(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return encode_lesion_counts(decode_lesion_counts(content))


def _monthly_counts(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return encode_monthly_counts(decode_monthly_counts(content))


def _ready(content: RecordDict, request: Message, classes: int) -> RecordDict:
    return encode_ready(decode_ready(content))


_KINDS: Mapping[str, Encode] = {
    MessageType.TRAIN: _update,
    HEAD_TRAIN: _head_sums,
    SLOPES_TRAIN: _slope_sums,
    MessageType.EVALUATE: _evaluation,
    EXPLAIN_QUERY: _explanation,
    CALIBRATE_QUERY: _calibration_sums,
    OFFSETS_QUERY: _offset_sums,
    SCORES_QUERY: _scores,
    CALIBRATION_QUERY: _ready,
    LESIONS_QUERY: _finder_sums,
    FINDER_QUERY: _ready,
    AUDIT_QUERY: _shortcut_sums,
    OFFER_QUERY: _answer,
    PREPARE_QUERY: _ready,
    COUNTS_QUERY: _lesion_counts,
    DRIFT_QUERY: _monthly_counts,
}

_OF_NO_RUN = (_answer, _lesion_counts, _monthly_counts)
"""What may leave in reply to a message of a run that was never offered to the clinic."""

_SECURE_KINDS: Mapping[str, Encode] = {**SUM_ANSWERS, OFFER_QUERY: _answer_without_counts}


def _only(names: object, allowed: object) -> None:
    if not set(names) <= set(allowed):  # type: ignore[call-overload]
        raise FederationError("It names something that may not leave")


def _bare_error(error: Error, request: Message) -> Message:
    """An error's code and type name; any other text stays here."""
    reason = error.reason if _TYPE_NAME.fullmatch(error.reason or "") else None
    return Message(Error(code=int(error.code), reason=reason), reply_to=request)


def _blocked(request: Message, why: str) -> Message:
    log.error("a reply to %s was blocked: %s", request.metadata.message_type, why)
    return Message(Error(code=int(Refusal.HELD_BACK), reason="HeldBack"), reply_to=request)
