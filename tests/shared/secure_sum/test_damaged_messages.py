"""Whatever reaches a side, it goes on or refuses with a remedy; nothing else is ever raised."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.fixed_point import Part
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.packing import Kind
from tests.shared.secure_sum.federation import Federation, random_values, terms

TERMS = terms(4)
VALUES = random_values(np.random.default_rng(4), 4, TERMS.layout)
CODED = terms(4, parts=(*TERMS.layout.parts, Part("codes", 9, 127, whole=True, bits=8)))
CODES = {clinic: {**own, "codes": np.arange(9) * (clinic - 2)} for clinic, own in VALUES.items()}
VECTORS = (Kind.MASKED_VECTOR, Kind.CODED_VECTOR)
TO_ALL = (Kind.COHORT, Kind.SURVIVORS, Kind.SIGNATURES)  # one message


@dataclass
class Damage:
    """Changes some bytes of one message of a kind."""

    kind: Kind
    chance: random.Random
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = 0 if self.kind in TO_ALL else self.chance.randint(0, 3)

    def __call__(self, message: Any) -> Any:
        data = message.to_bytes()
        if data[1] == self.kind:
            self.left -= 1
            if self.left == -1:
                data = self.changed(data)
        if isinstance(message, MaskedVector):
            return MaskedVector.from_bytes(data, message.values.size, message.tail)
        return type(message).from_bytes(data)

    def changed(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        for _ in range(self.chance.randint(1, 3)):
            start = self.chance.choice([2, 3, 4, 5, self.chance.randrange(2, len(data))])
            piece = self.chance.choice([b"", b"\xff\xff", b"\0", self.chance.randbytes(2)])
            damaged[start : start + self.chance.choice([len(piece), len(piece), 1])] = piece
        return bytes(damaged)


@pytest.mark.usefixtures("each_signature_checked_once")
@pytest.mark.parametrize("kind", [kind for kind in Kind if "REVEAL" not in kind.name])
def test_a_damaged_message_is_refused_or_makes_no_difference(kind: Kind) -> None:
    outcomes = Counter[str]()
    agreed, values = (CODED, CODES) if kind is Kind.CODED_VECTOR else (TERMS, VALUES)
    for seed in range(40):
        damage = Damage(kind, random.Random(seed))
        try:
            total = Federation(agreed, values, carry=damage).run()
        except FederationError as error:
            outcomes["refused" if error.remedy else "refused without a remedy"] += 1
        else:
            plain = sum(each["delta"] for each in VALUES.values())
            outcomes["right" if np.allclose(total["delta"], plain, atol=1e-4) else "wrong"] += 1
    assert outcomes["refused"] > 10
    assert not outcomes["refused without a remedy"]
    # A vector itself has no check: who sends it may as well send any.
    assert outcomes["wrong"] == 0 or kind in VECTORS, outcomes
