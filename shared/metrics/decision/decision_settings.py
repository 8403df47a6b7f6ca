"""What a clinic wants of an alert for melanoma: the table ``[decision]`` of ``clinic.toml``."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from dermafed.shared.settings import STRICT, Key, Number, Settings


@dataclass(frozen=True, config=STRICT)
class DecisionSettings(Settings):
    """A clinic's choice; without it, these defaults."""

    section: ClassVar[str] = "decision"

    sensitivity: Annotated[
        Number, Field(gt=0, le=1, description="Share of melanomas that an alert is to find")
    ] = 0.95
    prevalence: Annotated[
        Annotated[Number, Field(gt=0, lt=1)] | None,
        Field(description="Share of melanomas among the lesions that the clinic will examine"),
        Key(otherwise="that of the validation lesions", example=0.05),
    ] = None
    biopsies_per_melanoma: Annotated[
        Number,
        Field(gt=0, description="Biopsies of other lesions that finding one more melanoma is worth"),
    ] = 9

    @property
    def threshold_probability(self) -> float:
        """Probability of melanoma above which a biopsy is worth it (Vickers and Elkin 2006).

        Example:
            9 biopsies for a melanoma: 1 / (1 + 9) = 0.1.
        """
        return 1 / (1 + self.biopsies_per_melanoma)
