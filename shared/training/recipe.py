"""How a clinic trains: the same recipe for every clinic, and for the baselines."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from dermafed.shared.errors import SettingsError

Optimizer = Literal["adamw", "sgd"]
Balance = Literal["none", "weights", "logits", "global"]
Schedule = Literal["cosine", "constant"]
Grouping = Literal["none", "age", "sex", "site"]

MOST_STEPS = 100_000
"""More than any round needs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The local training of one round.

    Attributes:
        epochs: passes over the clinic's training images in a round; a fraction goes on where the round
            before ended, so that 0.25 sees every image once in four rounds.
        steps: steps of a round in place of ``epochs``: as many at a small clinic as at a large one.
        batch_size: images a step.
        optimizer: ``adamw`` (Loshchilov and Hutter 2019) or ``sgd``; its state starts afresh each round,
            since only the weights travel.
        momentum: Nesterov's, ``sgd`` only; with 0 it has none.
        learning_rate: the peak; it warms up linearly and falls as a cosine over the whole run.
        schedule: ``cosine``, as said, or ``constant``: the peak from the first step to the last.
        warmup: share of the run spent warming up.
        weight_decay: decoupled, ``adamw`` only.
        balance: what is done about unequal classes. ``weights``: each image weighs inversely to
            its class's frequency. ``logits``: the loss adds the classes' log prior to the logits
            (logit adjustment, Menon et al. 2021, arXiv:2007.07314). Frequencies are the clinic's own,
            so that its rarer diagnoses do not pull every clinic's model away from them (FedLC,
            Zhang et al. 2022, arXiv:2209.00189).
            Either way the run minimises the mean of the classes' losses, so in the mean of models a
            clinic weighs as much as its images add to that, each n / (C n_c) over all clinics; with
            ``none``, as many images as it has. ``global``: each image's loss is multiplied by n / n_c of
            all clinics, and a clinic weighs as many images as it has (FLamby, arXiv:2210.04620).
        focus: gamma of the focal loss, which multiplies an image's loss by (1 - p)^gamma, p the probability
            given to its class (Lin et al. 2017, arXiv:1708.02002, eq. 4); 0 is cross-entropy.
        label_smoothing: of the one-hot labels, 0 to below 1.
        augment: whether images are flipped, rotated, zoomed and relit at random.
        tones: whether ``augment`` also gives the skin another tone, as more or less melanin would.
        group_balance: what is done about unequal groups of patients, by age, sex or body site: images weigh
            so that group and class are independent at the clinic (Kamiran and Calders 2012).
    """

    epochs: float = 1
    steps: int | None = None
    batch_size: int = 32
    optimizer: Optimizer = "adamw"
    momentum: float = 0.9
    learning_rate: float = 1e-3
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    weight_decay: float = 1e-4
    balance: Balance = "logits"
    focus: float = 0.0
    label_smoothing: float = 0.0
    augment: bool = True
    tones: bool = False
    group_balance: Grouping = "none"

    def __post_init__(self) -> None:
        choices = {
            "optimizer": Optimizer,
            "balance": Balance,
            "schedule": Schedule,
            "group_balance": Grouping,
        }
        for name, kind in choices.items():
            if getattr(self, name) not in get_args(kind):
                raise SettingsError(
                    f"'{getattr(self, name)}' is no {name}",
                    where=name,
                    remedy=f"Use one of {', '.join(get_args(kind))}",
                )
        for name in ("epochs", "batch_size", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"{getattr(self, name)} is not above 0", where=name)
        if not 0 <= self.weight_decay < math.inf:
            raise SettingsError(f"{self.weight_decay} is not 0 or above", where="weight_decay")
        if self.steps is not None and not 1 <= self.steps <= MOST_STEPS:
            raise SettingsError(f"{self.steps} is not from 1 to {MOST_STEPS}", where="steps")
        # Between 0 and 1 the focal loss has no finite slope at an image that is classified with certainty.
        if not (self.focus == 0 or 1 <= self.focus < math.inf):
            raise SettingsError(f"{self.focus} is not 0, or 1 and above", where="focus")
        if self.tones and not self.augment:
            raise SettingsError("'tones' is a part of 'augment'", where="tones", remedy="Set both, or none")
        for name in ("warmup", "label_smoothing", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{getattr(self, name)} is not in [0, 1)", where=name)

    @property
    def work(self) -> str:
        """What a round asks of a clinic, in words."""
        return f"{self.epochs:g} epochs" if self.steps is None else f"{self.steps} steps"

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe from :meth:`to_dict`; raises SettingsError on an unknown or impossible field."""
        try:
            return cls(**values)
        except TypeError as error:
            raise SettingsError(f"This is no training recipe: {error}", where="recipe") from error

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate after a share of the whole run: linear warm-up, then half a cosine, or constant.

        Args:
            progress: in [0, 1].

        Example:
            With a peak of 1 and a warm-up of 0.1: 0.5 at 0.05, 1 at 0.1, 0.5 at 0.55, 0 at 1.
        """
        if self.schedule == "constant":
            return self.learning_rate
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        return (
            self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))
        )
