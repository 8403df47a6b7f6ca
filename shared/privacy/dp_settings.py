"""What a plan says about the privacy of patients: the table ``privacy.dp`` of a plan file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

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
            ``sum``: each round is one step and one secure sum, to which each clinic adds a part.
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

    @property
    def in_sums(self) -> bool:
        """Whether noise is added within secure sums, a part at each clinic."""
        return self.place == "sum"

    @property
    def steps_in_epoch(self) -> int:
        """Steps in which each patient is drawn once on average."""
        return max(1, round(1 / self.rate))


def _read(value: Any) -> Any:
    return DifferentialPrivacy.read(value) if isinstance(value, Mapping) else value


AskedDp = Annotated[DifferentialPrivacy | None, BeforeValidator(_read)]
"""Differential privacy, if any; from a table of its keys too."""
