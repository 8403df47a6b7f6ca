"""Which queries of counts a clinic answers: ``[counts]`` in ``clinic.toml``."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from dermafed.shared.settings import STRICT, Settings


@dataclass(frozen=True, config=STRICT)
class CountSettings(Settings):
    """The clinic's choice; without the table it answers none."""

    section: ClassVar[str] = "counts"

    lesions: Annotated[
        bool, Field(description="Tell how many lesions there are, by diagnosis, age, sex, site and skin type")
    ] = False
    drift: Annotated[
        bool, Field(description="Tell how many answers, alerts and disagreements there were in each month")
    ] = False
