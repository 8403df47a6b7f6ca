"""An offer: what a coordinator asks clinics to agree to before a run, as plain data with a hash.

A clinic trains under an offer only when someone there approved its hash, or the clinic's own limits do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.messages import SENT
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Offer:
    """A run, as a clinic is asked to join it.

    Attributes:
        name: what the coordinator calls it.
        model: the architecture, with the classes.
        labels: class of each source label that has a name of its own; known diagnoses need none.
        split: how a clinic splits its images: ``drawn``, ``even`` or ``given``.
        preprocess: how images are prepared.
        recipe: the local training.
        strategy: the server's.
        rounds: how many.
        explain: whether clinics are asked, in the end, how good explanations of the model are.
        calibrate: whether clinics are asked, in the end, how far the model's numbers can be trusted.
        seed: of everything random.
        threads: of each clinic's training; ``None``: as many as it has cores.
        epsilon: of differential privacy; ``None``: there is none.
        sends: the fields that a clinic sends, as :data:`dermafed.shared.protocol.messages.SENT` lists them.
    """

    name: str
    model: ModelSettings
    preprocess: PreprocessSettings
    recipe: Recipe
    rounds: int
    labels: Mapping[str, str] = field(default_factory=dict)
    split: str = "drawn"
    strategy: str = "fedavg"
    explain: bool = False
    calibrate: bool = False
    seed: int = 0
    threads: int | None = None
    epsilon: float | None = None
    sends: tuple[str, ...] = SENT

    def plan(self, class_counts: Sequence[int], threads: int) -> Plan:
        """The plan of the run, once the clinics have told how many training images of each class they have.

        Args:
            class_counts: over all clinics, in the order of the model's classes.
            threads: of the backend where the offer leaves them open.

        Raises:
            SettingsError: a setting is impossible.
        """
        counts, used = tuple(class_counts), self.threads or threads
        return Plan(self.model, self.preprocess, self.recipe, self.rounds, counts, self.seed, used)

    @property
    def hash(self) -> str:
        """SHA-256 of :meth:`to_text`, hexadecimal."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """The offer as JSON, the same text for the same offer."""
        values = {
            "name": self.name,
            "model": self.model.to_dict(),
            "preprocess": self.preprocess.to_dict(),
            "recipe": self.recipe.to_dict(),
            "rounds": self.rounds,
            "labels": dict(self.labels),
            "split": self.split,
            "strategy": self.strategy,
            "explain": self.explain,
            "calibrate": self.calibrate,
            "seed": self.seed,
            "threads": self.threads,
            "epsilon": self.epsilon,
            "sends": list(self.sends),
        }
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_text(cls, text: str) -> Offer:
        """The offer from :meth:`to_text`.

        Raises:
            SettingsError: a field is missing, unknown or impossible.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            parts = {
                "model": ModelSettings.from_dict(values["model"]),
                "preprocess": PreprocessSettings.from_dict(values["preprocess"]),
                "recipe": Recipe.from_dict(values["recipe"]),
                "sends": tuple(values["sends"]),
            }
            offer = cls(**{**values, **parts})
            offer.plan([1] * len(offer.model.classes), threads=1)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise SettingsError(f"This is no offer: {error}", where="offer") from error
        return offer
