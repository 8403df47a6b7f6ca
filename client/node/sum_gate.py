"""The gate's part for plans with secure sums: the protocol's messages may leave, and no value in clear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from flwr.app import Message, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.agreement import PREPARE_QUERY, decode_ready, encode_ready
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_PARTS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
    decode_step,
    decode_sum,
    encode_sum,
)
from dermafed.shared.secure_sum.adverts import Advert
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.released_shares import ReleasedShares
from dermafed.shared.secure_sum.reveals import Reveal
from dermafed.shared.secure_sum.sealed_shares import DealtShares
from dermafed.shared.secure_sum.survivors import SignedSurvivors


class _Read(Protocol):
    def to_bytes(self) -> bytes: ...


Encode = Callable[[RecordDict, Message, int], RecordDict]
"""Encodes a reply again: its content, the request, the number of classes."""


def _of(read: Callable[[bytes], _Read], *, may_be_empty: bool = False) -> Encode:
    def encode(content: RecordDict, request: Message, classes: int) -> RecordDict:
        message = decode_sum(content)
        return encode_sum(message if may_be_empty and not message else read(message).to_bytes())

    return encode


def _masked(content: RecordDict, request: Message, classes: int) -> RecordDict:
    decode_step(request.content)
    message = decode_sum(content)
    return encode_sum(MaskedVector.of_any_length(message).to_bytes())


def _ready(content: RecordDict, request: Message, classes: int) -> RecordDict:
    if decode_ready(content):
        raise FederationError("Its seconds tell how many images there are")
    return encode_ready(0.0)


SUM_ANSWERS: Mapping[str, Encode] = {
    SUM_KEYS: _of(Advert.from_bytes),
    SUM_PARTS: _of(Reveal.from_bytes, may_be_empty=True),
    SUM_SHARES: _of(DealtShares.from_bytes),
    SUM_SURVIVORS: _of(SignedSurvivors.from_bytes),
    SUM_RELEASE: _of(ReleasedShares.from_bytes),
    **dict.fromkeys(SUMMED.values(), _masked),
    PREPARE_QUERY: _ready,
}
"""What leaves in a run with secure sums after its offer is answered, by the type of the message."""
