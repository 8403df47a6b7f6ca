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
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.protocol.compression_settings import WHOLE, CompressionSettings, check_coded
from dermafed.shared.protocol.defences import check_defences
from dermafed.shared.protocol.plan import PARTS, Plan, RunKeys, check_lesion_features, read_parts
from dermafed.shared.protocol.price import Price, price_of
from dermafed.shared.protocol.privacy_settings import PLAIN, PrivacySettings
from dermafed.shared.protocol.robust_settings import NO_RULE, RobustSettings
from dermafed.shared.protocol.roster_of_plan import check_roster
from dermafed.shared.protocol.sent import SENT
from dermafed.shared.settings import STRICT, Key, KeyInfo, Number, Settings, keys_of
from dermafed.shared.training.recipe import Recipe

Split = Literal["drawn", "even", "given"]

OFFER_PARTS: dict[str, type[Settings]] = {
    **PARTS,
    "privacy": PrivacySettings,
    "robust": RobustSettings,
    "compression": CompressionSettings,
}
"""The parts of an offer: those of a plan, and the others, written where not at their default."""

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
        privacy: what the server learns of each clinic, and of each patient.
        robust: the rule against hostile clinics.
        compression: in how many bits the changes of weights travel.
        roster: of a plan with secure sums, each clinic's public key by its name, OpenSSH on one line.
        sends: the fields that a clinic sends, as :func:`dermafed.shared.protocol.sent.sent_by` lists them.
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
    privacy: Annotated[PrivacySettings, Key(later=True)] = PLAIN
    robust: Annotated[RobustSettings, Key(later=True)] = NO_RULE
    compression: Annotated[CompressionSettings, Key(later=True)] = WHOLE
    roster: Mapping[str, str] = field(default_factory=dict)
    sends: tuple[str, ...] = SENT

    @model_validator(mode="after")
    def _defences_hold(self) -> Self:
        parts = (self.model, self.recipe, self.compression, self)
        keys = {name: getattr(part, name) for part in parts for name in keys_of(type(part))}
        check_defences(self.robust, self.privacy, keys)
        check_roster(self.roster, self.privacy, self.groups)
        check_coded(self.compression.bits, self.strategy)
        return self

    @model_validator(mode="after")
    def _last_layers_are_told(self) -> Self:
        check_lesion_features(self.model, self)
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
        return Plan(*parts, self.rounds, counts, self.seed, used, self.dp)

    @property
    def dp(self) -> DifferentialPrivacy | None:
        """The differential privacy that it asks for, if any."""
        return self.privacy.dp

    @property
    def groups(self) -> int:
        """Over how many groups of clinics each round's updates are summed; 1: there are no groups."""
        return self.robust.groups(self.privacy)

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
        values = super().to_dict() | {"labels": dict(self.labels), "roster": dict(self.roster)}
        return values if self.roster else {name: values[name] for name in values if name != "roster"}

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
            offer = cls.from_dict({**values, **read_parts(values, OFFER_PARTS)})
        except (TypeError, ValueError, RecursionError) as error:
            raise SettingsError(f"This is not an offer: {error}", where="offer") from error
        offer.plan([1] * len(offer.model.classes), threads=1)
        return offer


def offer_keys() -> Iterator[tuple[str, KeyInfo]]:
    """Every key of an offer, with the part that it belongs to: empty, or one of :data:`OFFER_PARTS`.

    The image size is the model's.
    """
    for part, kind in ({"": Offer} | OFFER_PARTS).items():
        for name, info in keys_of(kind).items():
            if (info.help or info.key.asks) and (part, name) != ("preprocess", "image_size"):
                yield part, info
