"""What one clinic contributed to one round: for the history, the display and the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

_LATER = {"images", "melanoma_sensitivity"}  # than the other fields: a file may lack them


@dataclass(frozen=True, slots=True)
class ClinicRound:
    """One clinic in one round; NaN for what it did not send or what cannot be computed.

    Attributes:
        clinic: its name.
        share: its share of the mean.
        norm: Euclidean norm of its step of the trained weights.
        times_median: that norm as a multiple of the round's median.
        cosine: mean cosine of that step with those of the other clinics.
        train_loss: its training loss.
        balanced_accuracy: of the round's model on its validation images.
        note: what a coordinator should know; empty if there is nothing.
        images: its validation images; NaN for fewer than ten, of which nothing should be shown.
        melanoma_sensitivity: share of its melanomas that the round's model predicts as such; NaN for fewer
            than five of them.
    """

    clinic: str
    share: float = math.nan
    norm: float = math.nan
    times_median: float = math.nan
    cosine: float = math.nan
    train_loss: float = math.nan
    balanced_accuracy: float = math.nan
    note: str = ""
    images: float = math.nan
    melanoma_sensitivity: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; undefined numbers are ``None``; the last two are left out then."""
        # asdict would copy each value, of a thousand clinics a round.
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        values = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in own.items()
        }
        return {name: value for name, value in values.items() if name not in _LATER or value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClinicRound:
        """From :meth:`to_dict`.

        Raises:
            ValueError: a field is missing or unknown, or not of its type.
        """
        known = cls.__dataclass_fields__.keys()
        if not isinstance(values, Mapping) or values.keys() | _LATER != known:
            raise ValueError("not a clinic's round")
        texts = {name: str(values[name]) for name in ("clinic", "note")}
        numbers = {
            name: math.nan if value is None else float(value)
            for name, value in values.items()
            if name not in texts
        }
        return cls(**texts, **numbers)  # type: ignore[arg-type]
