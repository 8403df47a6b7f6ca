"""The bytes of all messages: read as they were written, and refused in every other form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.adverts import Advert, Cohort
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.released_shares import ReleasedShare, ReleasedShares, Secret
from dermafed.shared.secure_sum.reveals import Reveal, Reveals
from dermafed.shared.secure_sum.sealed_shares import DealtShares, DeliveredShares, SealedShare
from dermafed.shared.secure_sum.survivors import Signatures, SignedSurvivors, Survivors

ADVERT = Advert(258, b"a" * 32, b"b" * 32, b"c" * 32, b"d" * 96)
LATER = Advert(259, b"e" * 32, b"f" * 32, b"g" * 32, b"h" * 96)
SEALED = (SealedShare(0, b"x" * 94), SealedShare(7, b"y" * 94))
SIGNED = SignedSurvivors(3, b"s" * 96)
RELEASED = (ReleasedShare(1, Secret.SELF_SEED, b"p" * 33), ReleasedShare(4, Secret.MASK_KEY, b"q" * 33))

# Message, its reader, its bytes by the table in the package's docstring.
MESSAGES: list[tuple[Any, Callable[[bytes], Any], bytes]] = [
    (ADVERT, Advert.from_bytes, b"\1\1\1\2" + b"a" * 32 + b"b" * 32 + b"c" * 32 + b"d" * 96),
    (Cohort((ADVERT, LATER)), Cohort.from_bytes, b"\1\2" + ADVERT.to_bytes()[2:] + LATER.to_bytes()[2:]),
    (Reveal(5, b"r" * 32, b"s" * 96), Reveal.from_bytes, b"\1\3\0\5" + b"r" * 32 + b"s" * 96),
    (
        Reveals((Reveal(5, b"r" * 32, b"s" * 96), Reveal(6, b"t" * 32, b"u" * 96))),
        Reveals.from_bytes,
        b"\1\4\0\5" + b"r" * 32 + b"s" * 96 + b"\0\6" + b"t" * 32 + b"u" * 96,
    ),
    (
        DealtShares(2, b"k" * 32, SEALED),
        DealtShares.from_bytes,
        b"\1\5\0\2" + b"k" * 32 + b"\0\0" + b"x" * 94 + b"\0\7" + b"y" * 94,
    ),
    (DeliveredShares(SEALED), DeliveredShares.from_bytes, b"\1\6\0\0" + b"x" * 94 + b"\0\7" + b"y" * 94),
    (Survivors((0, 3, 300)), Survivors.from_bytes, b"\1\x08\0\0\0\3\1\x2c"),
    (SIGNED, SignedSurvivors.from_bytes, b"\1\x09\0\3" + b"s" * 96),
    (Signatures((SIGNED,)), Signatures.from_bytes, b"\1\x0a\0\3" + b"s" * 96),
    (
        ReleasedShares(9, RELEASED),
        ReleasedShares.from_bytes,
        b"\1\x0b\0\x09" + b"\0\1\0" + b"p" * 33 + b"\0\4\1" + b"q" * 33,
    ),
]
READERS = [*(reader for _, reader, _ in MESSAGES), partial(MaskedVector.from_bytes, size=2)]


@pytest.mark.parametrize(("message", "read", "data"), MESSAGES)
def test_a_message_is_read_as_it_was_written(message: Any, read: Callable[[bytes], Any], data: bytes) -> None:
    assert message.to_bytes() == data
    assert read(data) == message


def test_a_masked_vector_is_read_as_it_was_written() -> None:
    message = MaskedVector(1, np.array([1, 2**32 - 1], np.uint32))
    data = message.to_bytes()
    assert data == b"\1\7\0\1" + b"\1\0\0\0" + b"\xff\xff\xff\xff"
    again = MaskedVector.from_bytes(data, 2)
    assert again.clinic == 1
    assert again.values.tolist() == [1, 2**32 - 1]
    assert again.values.flags.writeable
    with pytest.raises(FederationError, match="has 8 bytes of numbers, not 12"):
        MaskedVector.from_bytes(data, 3)


@pytest.mark.parametrize(("message", "read", "data"), MESSAGES)
def test_cut_prolonged_and_other_messages_are_refused(
    message: Any, read: Callable[[bytes], Any], data: bytes
) -> None:
    others = [b"", data[:1], data[:-1], data + b"\0", b"\2" + data[1:], data[:1] + b"\x0c" + data[2:]]
    for other in (*others, *(each for _, _, each in MESSAGES if each != data)):
        with pytest.raises(FederationError, match="The message '") as refused:
            read(other)
        assert refused.value.where == "secure sum"
        assert refused.value.remedy


@pytest.mark.parametrize(
    ("read", "records"),
    [
        (Cohort.from_bytes, b"\1\2" + ADVERT.to_bytes()[2:] * 2),
        (Cohort.from_bytes, b"\1\2" + LATER.to_bytes()[2:] + ADVERT.to_bytes()[2:]),
        (Reveals.from_bytes, b"\1\4" + (b"\0\5" + b"r" * 128) * 2),
        (DeliveredShares.from_bytes, b"\1\6" + (b"\0\5" + b"r" * 94) * 2),
        (DealtShares.from_bytes, b"\1\5\0\2" + b"k" * 32 + (b"\0\5" + b"r" * 94) * 2),
        (Survivors.from_bytes, b"\1\x08\0\3\0\3"),
        (Survivors.from_bytes, b"\1\x08\0\3\0\2"),
        (Signatures.from_bytes, b"\1\x0a" + (b"\0\3" + b"s" * 96) * 2),
        (ReleasedShares.from_bytes, b"\1\x0b\0\x09" + (b"\0\1\0" + b"p" * 33) * 2),
    ],
)
def test_a_clinic_named_twice_or_out_of_order_is_refused(
    read: Callable[[bytes], Any], records: bytes
) -> None:
    with pytest.raises(FederationError, match="twice, or out of order"):
        read(records)


def test_a_third_secret_is_refused() -> None:
    with pytest.raises(FederationError, match="a secret that there is not"):
        ReleasedShares.from_bytes(b"\1\x0b\0\x09" + b"\0\1\2" + b"p" * 33)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(READERS), st.binary(max_size=300), st.integers(1, 11))
def test_any_bytes_are_read_or_refused(read: Callable[[bytes], Any], data: bytes, kind: int) -> None:
    """Whatever is read is written again as the same bytes: each message has one form."""
    for each in (data, bytes((1, kind)) + data):
        try:
            message = read(each)
        except FederationError:
            continue
        assert message.to_bytes() == each
