"""Numbers as whole multiples of a step modulo 2**32, which add up exactly; what does not fit is refused.

With n clinics, each multiple is at most (2**31 - 1) / n in absolute value: no sum of theirs overflows. Only
the multiples of a part with a unit are of any size and wrap around: a refusal would tell of the noise.

The last part may have whole numbers in fewer bits, whose sum need not fit: a check number goes with them, by
which a sum that does not is noticed and refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dermafed.shared.compression.codes import signed
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.secure_sum.hashing import digest
from dermafed.shared.secure_sum.masked_vector import NO_TAIL, Tail
from dermafed.shared.secure_sum.masks import Ring, add_mask

_HALF = 2**31 - 1


@dataclass(frozen=True)
class Part:
    """One of the arrays that are summed.

    Attributes:
        name: its name.
        size: how many numbers it has.
        largest: the largest absolute value of any clinic's numbers.
        whole: whether they are whole numbers, which are summed without any error.
        unit: what 1 stands for, of a part that is given in whole multiples of it, of any size: their sum is
            right modulo 2**32.
        bits: of each number and of the sum; below 32 for whole numbers of the last part only.
    """

    name: str
    size: int
    largest: float
    whole: bool = False
    unit: float | None = None
    bits: int = 32

    @classmethod
    def of_units(cls, name: str, size: int, unit: float) -> Part:
        """A part of whole multiples of a unit, whose sum is between -2**31 and 2**31 of it."""
        return cls(name, size, unit * _HALF, unit=unit)


@dataclass(frozen=True)
class Layout:
    """The parts of a vector, one after the other, and how they are encoded.

    The step of a part is the smallest power of two with which its largest value fits (1 for whole numbers).
    So a sum's error is at most n / 2**31 of its range, n times ``largest``: below 2**-20 for all n allowed.

    Attributes:
        parts: each with a name of its own.
        clinics: n of the roster, however many of them are in a sum.

    Raises:
        SettingsError: a part's largest value is not above 0, or whole numbers are too large to be summed.
    """

    parts: tuple[Part, ...]
    clinics: int

    def __post_init__(self) -> None:
        for part in self.parts:
            if not 0 < part.largest < math.inf:
                raise SettingsError(
                    f"The largest value of a part is {part.largest:g}",
                    where=part.name,
                    remedy="Give one above 0",
                )
            if part.whole and part.largest > self._most:
                raise SettingsError(
                    f"Whole numbers up to {part.largest:,.0f} cannot be summed over {self.clinics} clinics",
                    where=part.name,
                    remedy=f"Allow {self._most:,} at most",
                )

    @property
    def size(self) -> int:
        """Length P of the vector."""
        return sum(part.size for part in self.parts) + (self.tail.size > 0)

    @property
    def tail(self) -> Tail:
        """The numbers of few bits, at the vector's end."""
        last = self.parts[-1]
        return Tail(last.size, last.bits) if last.bits < 32 else NO_TAIL

    @property
    def codec(self) -> str:
        """SHA-256 of the layout, hexadecimal: who encodes otherwise is in another sum."""
        text = json.dumps(asdict(self), sort_keys=True)
        return digest("codec", text.encode()).hex()

    def step(self, part: Part) -> float:
        """The number that 1 stands for in a part."""
        if part.unit is not None:
            return part.unit
        return 1.0 if part.whole else 2.0 ** math.ceil(math.log2(part.largest / self._most))

    def encode(self, values: Mapping[str, ArrayLike]) -> Ring:
        """A clinic's vector, uint32 (P,).

        Args:
            values: by part, its numbers in any shape.

        Raises:
            FederationError: a part is missing, unknown or of another size, or a number is not finite, not
                whole where it must be, or beyond the part's largest. Nothing is ever clipped.
        """
        if values.keys() != {part.name for part in self.parts}:
            raise FederationError("The values are not those of the secure sum", where="secure sum")
        vector = np.empty(self.size, np.uint32)
        start = 0
        for part in self.parts:
            vector[start : start + part.size] = self._encoded(part, np.asarray(values[part.name]).ravel())
            start += part.size
        if (count := self.tail.size) > 0:
            vector[-count:] = vector[-count - 1 : -1].copy()
            vector[-count - 1] = self._check(vector[-count:])
        return vector

    def decode(self, total: Ring) -> dict[str, NDArray[np.float64]]:
        """The sums by part, float64 (size,), from the sum of at most n vectors modulo 2**32.

        Raises:
            FederationError: the sum of numbers of few bits is beyond their range.
        """
        numbers = total.view(np.int32)
        if (count := self.tail.size) > 0:
            few = signed(total[-count:], self.tail.bits)
            if self._check(few.view(np.uint32)) != total[-count - 1]:
                raise FederationError(
                    f"The sum of the clinics' changes does not fit into {self.tail.bits} bits",
                    where="compression",
                    remedy="The next round sends all in full",
                )
            numbers = np.concatenate([numbers[: -count - 1], few])
        ends = np.cumsum([part.size for part in self.parts])
        pieces = np.split(numbers, ends[:-1])
        return {
            part.name: piece.astype(np.float64) * self.step(part)
            for part, piece in zip(self.parts, pieces, strict=True)
        }

    def _encoded(self, part: Part, numbers: NDArray[np.generic]) -> Ring:
        if numbers.size != part.size:
            raise _misfit(part, f"has {numbers.size} numbers, not {part.size}")
        if part.unit is not None:
            return numbers.astype(np.int64, casting="safe").astype(np.uint32)
        values = numbers.astype(np.float64, copy=False)
        if not np.isfinite(values).all():
            raise _misfit(part, "has numbers that are not finite")
        if values.size and (found := float(np.abs(values).max())) > part.largest:
            raise _misfit(part, f"has a number of {found:g}, beyond {part.largest:g}")
        multiples = np.rint(values / self.step(part))
        if part.whole and (multiples != values).any():
            raise _misfit(part, "has numbers that are not whole")
        return multiples.astype(np.int32).view(np.uint32)

    def _check(self, few: Ring) -> np.uint32:
        """A sum of numbers, each times a random one, modulo 2**32: of the sum of vectors it is the sum."""
        random = np.zeros(few.size, np.uint32)
        add_mask(random, bytes.fromhex(self.codec))
        return np.sum(few * random, dtype=np.uint32)

    @property
    def _most(self) -> int:
        """Largest multiple of one clinic."""
        return _HALF // self.clinics


def _misfit(part: Part, why: str) -> FederationError:
    return FederationError(
        f"What would go into the secure sum {why}",
        where=part.name,
        remedy="Train with a smaller learning rate, or allow larger values in the plan",
    )
