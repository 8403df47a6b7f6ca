"""The section ``privacy`` of a plan: what the server learns of each clinic, and of each patient."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.privacy.dp_settings import AskedDp
from dermafed.shared.settings import STRICT, Key, Number, Settings

Aggregation = Literal["plain", "secure"]


@dataclass(frozen=True, config=STRICT)
class PrivacySettings(Settings):
    """What the server learns of each clinic, and of each patient.

    Attributes:
        aggregation: ``plain``: the server sees each clinic's update and counts; ``secure``: their sums over
            clinics only (:mod:`dermafed.shared.secure_sum`).
        colluders: how many clinics may act together with the server, in a secure plan.
        largest_change: the largest change of a weight in a round that a secure sum takes. A larger one is
            refused, never clipped; twice as much halves the exactness of the sums.
        dp: differential privacy of each patient; ``None``: there is none.

    Example:
        ``privacy = { dp = { epsilon = 8, delta = 1e-5, place = "clinic", layers = "head" } }``
    """

    section: ClassVar[str] = "privacy"

    aggregation: Annotated[
        Aggregation,
        Field(description="plain, or secure: the server sees sums over clinics, and no clinic's own values"),
        Key(panel="Run", later=True, asks="the aggregation {}"),
    ] = "plain"
    colluders: Annotated[
        int,
        Field(ge=0, le=2045, description="Clinics that may act with the server against secure sums"),
        Key(panel="Run", later=True),
    ] = 1
    largest_change: Annotated[
        Number,
        Field(gt=0, le=1e6, description="Largest change of a weight in a round that a secure sum takes"),
        Key(panel="Run", later=True),
    ] = 64
    dp: Annotated[
        AskedDp, Field(description="Differential privacy by patient, a table"), Key(panel="Run", later=True)
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        for name in ("colluders", "largest_change"):
            if not self.is_secure and getattr(self, name) != getattr(PrivacySettings, name):
                remedy = 'Write aggregation = "secure" beside it, or leave it out'
                raise SettingsError(f"{name} is for secure aggregation", where=name, remedy=remedy)
        return self

    @property
    def is_secure(self) -> bool:
        """Whether the server sees sums over clinics only."""
        return self.aggregation == "secure"


PLAIN = PrivacySettings()
"""The server sees what each clinic sends."""
