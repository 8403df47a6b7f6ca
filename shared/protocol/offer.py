"""An offer: what a coordinator asks clinics to agree to before a run, as plain data with a hash.

A clinic trains under an offer only when someone there approved its hash, or the clinic's own limits do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.privacy.privacy_settings import Privacy
from dermafed.shared.protocol.messages import SENT
from dermafed.shared.protocol.plan import PARTS, Plan, RunKeys, read_parts
from dermafed.shared.protocol.price import Price, price_of
from dermafed.shared.protocol.private_plan import PRIVATE_SENT, asked_dp, refuse_contradictions
from dermafed.shared.settings import STRICT, Key, KeyInfo, Number, keys_of
from dermafed.shared.training.recipe import Recipe

Split = Literal["drawn", "even", "given"]

LONGEST = 128 * 1024
"""Characters of an offer's text at most: a clinic keeps what it is offered."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Offer(RunKeys):
    """A run, as a clinic is asked to join it.

    Attributes:
        name: the run's name at the coordinator.
        model: the architecture, with the classes.
        labels: class of each source label that has a name of its own; known diagnoses need none.
        split: how a clinic splits its images: ``drawn``, ``even`` or ``given``.
        preprocess: how images are prepared.
        recipe: the local training.
        calibrate: whether clinics are asked, after the last round, how well the model is calibrated.
        threads: threads of each clinic's training; ``None``: as many as it has cores.
        epsilon: was meant for differential privacy, which is in ``privacy``; clinics refuse it.
        sends: the fields that a clinic sends, as :func:`sent_in` lists them.
    """

    section: ClassVar[str] = "offer"

    name: Annotated[
        str, Field(description="The run's name, unique in the federation"), Key(example="spring-2027")
    ]
    model: ModelSettings
    preprocess: PreprocessSettings
    recipe: Recipe
    labels: Mapping[str, str] = field(default_factory=dict)
    split: Annotated[
        Split, Field(description="How a clinic splits its images; given: by the manifest's column split")
    ] = "drawn"
    calibrate: Annotated[
        bool, Field(description="After the last round, fit how far the model's probabilities can be trusted")
    ] = True
    threads: Annotated[
        Annotated[int, Field(ge=1, le=1024)] | None,
        Field(description="Threads of each clinic's training"),
        Key(otherwise="as many as it has cores", example=2, limit=64, asks="{} threads"),
    ] = None
    epsilon: Annotated[Number | None, Key(asks="epsilon {}")] = None
    sends: tuple[str, ...] = SENT

    @model_validator(mode="after")
    def _privacy_holds(self) -> Self:
        refuse_contradictions(self.model, self.recipe, self, calibrate=self.calibrate)
        return self

    @model_validator(mode="after")
    def _last_layers_are_told(self) -> Self:
        if self.refit != "none" and not self.calibrate:
            remedy = "Leave calibrate true: by it the clinics learn whether the last layer was kept"
            raise SettingsError("refit without calibrate", where="refit", remedy=remedy)
        if self.own_layer and not self.calibrate:
            remedy = (
                "Leave calibrate true: a clinic fits its own last layer when it calibrates the last model"
            )
            raise SettingsError("own_layer without calibrate", where="own_layer", remedy=remedy)
        if self.own_layer and self.model.batch_norm == "local":
            remedy = "Choose another batch_norm: its own last layer makes the model the clinic's anyway"
            raise SettingsError(
                "own_layer does not go with batch_norm local", where="own_layer", remedy=remedy
            )
        return self

    def plan(self, class_counts: Sequence[int], threads: int) -> Plan:
        """The plan of the run, once all clinics have sent how many training images of each class they have.

        Args:
            class_counts: training images over all clinics, in the order of the model's classes.
            threads: threads of the backend where the offer leaves them open.

        Raises:
            SettingsError: a setting is impossible.
        """
        counts, used = tuple(class_counts), self.threads or threads
        parts = (self.model, self.preprocess, self.recipe)
        return Plan(*parts, self.rounds, counts, self.seed, used, self.privacy)

    @property
    def price(self) -> Price:
        """What it costs a clinic, about."""
        return price_of(self.model, self.recipe)

    @property
    def hash(self) -> str:
        """SHA-256 of :meth:`to_text`, hexadecimal."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """The offer as JSON, the same text for the same offer."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """The offer as JSON types."""
        parts = {name: getattr(self, name).to_dict() for name in PARTS}
        return {**super().to_dict(), **parts, "labels": dict(self.labels)}

    @classmethod
    def from_text(cls, text: str) -> Offer:
        """The offer from :meth:`to_text`.

        Raises:
            SettingsError: a field is missing, unknown or impossible, or the text is too long.
        """
        if len(text) > LONGEST:
            raise SettingsError(
                f"The offer has {len(text)} characters", where="offer", remedy=f"Send at most {LONGEST}"
            )
        try:
            values: dict[str, Any] = json.loads(text)
            offer = cls.from_dict({**values, **read_parts(values)})
        except (TypeError, ValueError, RecursionError) as error:
            raise SettingsError(f"This is not an offer: {error}", where="offer") from error
        offer.plan([1] * len(offer.model.classes), threads=1)
        return offer


def sent_in(privacy: Privacy | None) -> tuple[str, ...]:
    """What a clinic sends in a run with this privacy."""
    return SENT if asked_dp(privacy) is None else PRIVATE_SENT


def offer_keys() -> Iterator[tuple[str, KeyInfo]]:
    """Every key of an offer, with the part that it belongs to: empty, ``model``, ``preprocess``, ``recipe``.

    The image size is the model's.
    """
    for part, kind in ({"": Offer} | PARTS).items():
        for name, info in keys_of(kind).items():
            if (info.help or info.key.asks) and (part, name) != ("preprocess", "image_size"):
                yield part, info
