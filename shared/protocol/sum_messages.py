"""The messages of secure sums: one type for each step, and one for each kind of values.

=======================  =======================  ===================================================
message                  of the server            of a clinic
=======================  =======================  ===================================================
query.sum_keys           ``KeyContext``           ``Advert``
query.sum_parts          ``Cohort``               ``Reveal``, or nothing of who draws no part
query.sum_shares         ``Cohort``, ``Reveals``  ``DealtShares``
train.summed,            ``DeliveredShares``      ``MaskedVector``
evaluate.summed,
query.summed_counts
query.sum_survivors      ``Survivors``            ``SignedSurvivors``
query.sum_release        ``Signatures``           ``ReleasedShares``
=======================  =======================  ===================================================

Each has the array ``message`` in the record ``sum``, uint8 (N,): the bytes of the message of
:mod:`dermafed.shared.secure_sum`. Those of the server say in ``step`` (config) of which sum they are; those
that ask for values of a model also have what train and evaluate have
(:mod:`dermafed.shared.protocol.messages`). A clinic's reply has nothing else: no seconds of work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MessageType, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.flower_records import (
    only_fields,
    only_records,
    plain_text,
    read_array,
    record_of,
    to_arrays,
    whole_number,
)
from dermafed.shared.protocol.summed import Label

SUM_KEYS, SUM_PARTS, SUM_SHARES, SUM_SURVIVORS, SUM_RELEASE = (
    f"{MessageType.QUERY}.sum_{name}" for name in ("keys", "parts", "shares", "survivors", "release")
)
"""The types of the messages of the steps, but the third."""

SUMMED: Mapping[Label, str] = {
    "counts": f"{MessageType.QUERY}.summed_counts",
    "train": f"{MessageType.TRAIN}.summed",
    "evaluate": f"{MessageType.EVALUATE}.summed",
}
"""The types of the messages of the third step, which ask for a masked vector, by the sum."""


@dataclass(frozen=True, slots=True)
class SumAttempt:
    """Of which sum a message is.

    Attributes:
        label: which of the round's sums.
        round: the round's number, from 1; 0 before the first.
        attempt: the attempt's number, from 1.
        parameters: how many weights are summed in full, or length of the last layer where that alone is
            trained; at most 2**31 - 1.
        coded: how many are summed in few bits.
    """

    label: Label
    round: int
    attempt: int
    parameters: int
    coded: int = 0


def encode_step(of: SumAttempt, message: bytes) -> RecordDict:
    """Content of a server's message."""
    values = {name: value for name, value in asdict(of).items() if name != "coded" or value}
    return RecordDict({"step": ConfigRecord(values), **encode_sum(message)})


def decode_step(content: RecordDict) -> tuple[SumAttempt, bytes]:
    """Decode :func:`encode_step` at the clinic.

    Raises:
        FederationError: a field is missing, or of another type or range.
    """
    record = record_of(content, "step", ConfigRecord)
    label: Any = plain_text(record, "label", 20)
    numbers = [whole_number(record, name) for name in ("round", "attempt", "parameters")]
    numbers += [whole_number(record, "coded")] if "coded" in record else []
    if label not in get_args(Label) or not all(0 <= number < 2**31 for number in numbers):
        raise FederationError("The message is of no secure sum that there is")
    return SumAttempt(label, *numbers), _message(content)


def encode_sum(message: bytes) -> RecordDict:
    """Content of a clinic's reply: a message of the protocol; empty of who has nothing to send."""
    return RecordDict({"sum": to_arrays(message=np.frombuffer(message, np.uint8))})


def decode_sum(content: RecordDict) -> bytes:
    """Decode :func:`encode_sum` at the server; nothing in it is trusted.

    Raises:
        FederationError: it has anything else.
    """
    only_records(content, "sum")
    only_fields(record_of(content, "sum", ArrayRecord), "message")
    return _message(content)


def _message(content: RecordDict) -> bytes:
    return read_array(content, "sum", "message", np.uint8).tobytes()
