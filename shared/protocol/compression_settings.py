"""The section ``compression`` of a plan: in how many bits the changes of weights travel."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import STRICT, Key, Settings


@dataclass(frozen=True, config=STRICT)
class CompressionSettings(Settings):
    """In how many bits the changes of weights travel (:mod:`dermafed.shared.compression`).

    Attributes:
        bits: of each changed weight, to the clinics and from them; in a secure sum, of the sum of these, for
            which 8 are enough up to some 20 clinics, 10 up to some 300. Batch normalisation's statistics and
            the first model travel in full. ``None``: all travels in full.
    """

    section: ClassVar[str] = "compression"

    bits: Annotated[
        Annotated[int, Field(ge=8, le=12)] | None,
        Field(description="Bits in which the change of a weight travels"),
        Key(
            panel="Run",
            otherwise="weights travel in full",
            example=8,
            later=True,
        ),
    ] = None


def check_coded(bits: int | None, strategy: str) -> None:
    """Refuse few bits for a strategy whose clinics send no changes of weights.

    Raises:
        SettingsError: it is such a strategy.
    """
    if bits and strategy == "exact-head":
        raise SettingsError(
            "bits does not go with the strategy exact-head: its clinics send sums, which must be exact",
            where="bits",
            remedy="Leave bits out, or choose another strategy",
        )


WHOLE = CompressionSettings()
"""All travels in full."""
