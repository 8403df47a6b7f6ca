"""The messages before a run: the offer, each clinic's answer, and the class counts to prepare with.

===============  ===============================  ====================================================
message          record                           content
===============  ===============================  ====================================================
query.offer      ``offer`` (config)               ``text``: an Offer as JSON
offer's reply    ``answer`` (config)              ``decision``, ``reason``, ``versions`` of packages
                 ``counts`` (arrays), if it joins ``training``: int64 (C,), training images of each class;
                                                  none where the plan has secure sums
query.prepare    ``counts`` (arrays)              ``training``: int64 (C,), over all clinics that join
prepare's reply  ``report`` (metrics)             ``seconds`` of work
===============  ===============================  ====================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MessageType, MetricRecord, RecordDict
from numpy.typing import NDArray

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.flower_records import (
    only_fields,
    only_records,
    plain_text,
    read_array,
    record_of,
    to_arrays,
    work_seconds,
)

OFFER, PREPARE = "offer", "prepare"
OFFER_QUERY, PREPARE_QUERY = (f"{MessageType.QUERY}.{name}" for name in (OFFER, PREPARE))

_LONGEST_VERSION = 40
_PACKAGES = {
    "dermafed": ("dermafed",),
    "flwr": ("flwr",),
    "keras": ("keras",),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "numpy": ("numpy",),
}


class Decision(StrEnum):
    """What a clinic answers to an offer."""

    APPROVED = "approved"
    WAITING = "waiting"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why a clinic refuses or waits; it sends no more than one of these."""

    NONE = ""
    ASKS_A_PERSON = "someone there has to approve it"
    BY_HAND = "someone there refused it"
    BEYOND_LIMITS = "it goes beyond the limits set there"
    OTHER_VERSION = "the versions do not fit"
    UNREADABLE = "it could not be read there"
    NO_DATA = "the data there cannot be used for it"


@dataclass(frozen=True)
class Answer:
    """A clinic's answer to an offer.

    Attributes:
        decision: whether it joins.
        reason: why not, or not yet.
        versions: version of each package that must fit the server's, by name.
        class_counts: training images of each class, int64 (C,); only of a clinic that joins, and not in a
            plan with secure sums.
    """

    decision: Decision
    reason: Reason = Reason.NONE
    versions: Mapping[str, str] = field(default_factory=dict)
    class_counts: NDArray[np.int64] | None = None


def encode_offer(text: str) -> RecordDict:
    """Content of an offer message, with :meth:`dermafed.shared.protocol.offer.Offer.to_text`."""
    return RecordDict({"offer": ConfigRecord({"text": text})})


def decode_offer(content: RecordDict) -> str:
    """Decode :func:`encode_offer` at the clinic.

    Raises:
        FederationError: the field is missing.
    """
    return _text(record_of(content, "offer", ConfigRecord), "text")


def encode_answer(answer: Answer) -> RecordDict:
    """Content of a clinic's reply to an offer."""
    versions = {f"version.{name}": version for name, version in answer.versions.items()}
    record = ConfigRecord({"decision": answer.decision.value, "reason": answer.reason.value, **versions})
    counts = answer.class_counts
    return RecordDict(
        {"answer": record, **({} if counts is None else {"counts": to_arrays(training=counts)})}
    )


def decode_answer(content: RecordDict, classes: int, *, counted: bool = True) -> Answer:
    """Decode :func:`encode_answer` at the server; nothing in it is trusted.

    Args:
        content: content of a clinic's reply.
        classes: number of classes of the plan's model.
        counted: whether a clinic that joins tells its class counts, as in plans without secure sums.

    Raises:
        FederationError: a field is missing or not valid.
    """
    record = record_of(content, "answer", ConfigRecord)
    only_fields(record, "decision", "reason", *(f"version.{name}" for name in _PACKAGES))
    try:
        decision, reason = Decision(_text(record, "decision")), Reason(_text(record, "reason"))
    except ValueError as error:
        raise FederationError("the answer to the offer is not a known one") from error
    names = [name for name in record if name.startswith("version.")]
    versions = {name.removeprefix("version."): plain_text(record, name, _LONGEST_VERSION) for name in names}
    joins = counted and decision is Decision.APPROVED
    only_records(content, "answer", *(["counts"] if joins else []))
    if joins:
        only_fields(record_of(content, "counts", ArrayRecord), "training")
    return Answer(decision, reason, versions, decode_counts(content, classes) if joins else None)


def encode_counts(class_counts: Sequence[int]) -> RecordDict:
    """Content of a prepare message: training images of each class over all clinics that join."""
    return RecordDict({"counts": to_arrays(training=np.asarray(class_counts, np.int64))})


def decode_counts(content: RecordDict, classes: int) -> NDArray[np.int64]:
    """Decode training images of each class, int64 (C,).

    Raises:
        FederationError: they are missing, of another shape, or negative.
    """
    counts = read_array(content, "counts", "training", np.int64, (classes,))
    if (counts < 0).any():
        raise FederationError("a class has fewer than 0 images")
    return counts


def encode_ready(seconds: float) -> RecordDict:
    """Content of a clinic's reply to a prepare message: the seconds that it took to get ready."""
    return RecordDict({"report": MetricRecord({"seconds": float(seconds)})})


def decode_ready(content: RecordDict) -> float:
    """Decode :func:`encode_ready` at the server.

    Raises:
        FederationError: the field is missing or not plausible, or there are others.
    """
    only_records(content, "report")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "seconds")
    return work_seconds(report)


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise FederationError(f"the field '{name}' is not text")
    return value


def installed_versions() -> dict[str, str]:
    """Version of each package that is installed, by name."""
    found = {name: _first(names) for name, names in _PACKAGES.items()}
    return {name: text for name, text in found.items() if text is not None}


def _first(names: tuple[str, ...]) -> str | None:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
