"""What a plan says about the privacy of patients: the table ``privacy.dp`` of a plan file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import STRICT, Number, Settings

Place = Literal["clinic", "sum"]
Layers = Literal["head"]

Epsilon = Annotated[
    Number, Field(gt=0, le=1e6, description="What a patient's presence may change, over the whole run")
]
Delta = Annotated[Number, Field(gt=0, lt=1, description="The chance with which epsilon may not hold")]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class DifferentialPrivacy(Settings):
    """Training whose releases hardly depend on any one patient.

    Whatever a clinic releases in the run has, with one patient more or less, a probability that differs by no
    more than a factor exp(epsilon), but for delta (Dwork and Roth 2014, definition 2.4). A patient is all
    images of one person, or of one lesion where the person is not known.

    Attributes:
        epsilon: of each patient, over the whole run.
        delta: of each patient; below one in the clinic's patients, or the clinic refuses.
        place: where the noise is added. ``clinic``: each clinic adds all of it, so that nobody is trusted.
            ``sum``: each adds a part to a secure sum of each step, which this version does not have.
        layers: what is trained: the last layer, on the features of the others, which stay as they are.
        rate: share of a clinic's patients that a step draws, each on its own (Poisson sampling).
        clip: largest norm of a patient's gradient, the mean over its images; a longer one is shortened.
    """

    section: ClassVar[str] = "dp"

    epsilon: Epsilon
    delta: Delta
    place: Annotated[Place, Field(description="Where noise is added: clinic (all of it), or sum")] = "clinic"
    layers: Annotated[Layers, Field(description="What is trained with noise: head, the last layer")] = "head"
    rate: Annotated[
        Number, Field(gt=0, le=1, description="Share of a clinic's patients that a step draws")
    ] = 0.1
    clip: Annotated[
        Number, Field(gt=0, le=1e6, description="Largest norm of a patient's gradient; longer is shortened")
    ] = 1.0

    @model_validator(mode="after")
    def _place_exists(self) -> Self:
        if self.place == "sum":
            raise SettingsError(
                'place = "sum" needs secure aggregation of each step, so that only the sum of the noises is '
                "seen; this version has secure sums of whole rounds",
                where="place",
                remedy='Set place = "clinic", with all of the noise at each clinic',
            )
        return self

    @property
    def steps_in_epoch(self) -> int:
        """Steps in which each patient is drawn once on average."""
        return max(1, round(1 / self.rate))


def _read(value: Any) -> Any:
    return DifferentialPrivacy.read(value) if isinstance(value, Mapping) else value


AskedDp = Annotated[DifferentialPrivacy | None, BeforeValidator(_read)]
"""Differential privacy, if any; from a table of its keys too."""
