"""How a clinic trains: the same recipe for every clinic, and for the baselines."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import STRICT, Key, Number, Settings

Optimizer = Literal["adamw", "sgd"]
Balance = Literal["none", "weights", "logits", "global"]
Schedule = Literal["cosine", "constant"]
Grouping = Literal["none", "age", "sex", "site"]


def _checked_focus(focus: float) -> float:
    # Between 0 and 1 the focal loss has no finite slope at an image that is classified with certainty.
    if 0 < focus < 1:
        raise SettingsError(f"focus is {focus}", where="focus", remedy="Give 0, or a number of 1 or more")
    return focus


_RATES_A_ROUND = 16  # of which its mean learning rate is taken


@dataclass(frozen=True, config=STRICT)
class Recipe(Settings):
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
        mask_absent: whether a class of which a clinic has no training image, and another has some, takes no
            part in the clinic's loss (:func:`dermafed.shared.training.loss.without`), nor the clinic in the
            mean of that class's column of the last layer.
        focus: gamma of the focal loss, which multiplies an image's loss by (1 - p)^gamma, p the probability
            given to its class (Lin et al. 2017, arXiv:1708.02002, eq. 4); 0 is cross-entropy.
        label_smoothing: of the one-hot labels, 0 to below 1.
        augment: whether images are flipped, rotated, zoomed and relit at random.
        tones: whether ``augment`` also gives the skin another tone, as more or less melanin would.
        artefacts: the share of training images on which ``augment`` also draws ink, hair or another artefact
            of :mod:`dermafed.shared.artefacts`, at random, whatever their class; each view or pass anew. A
            last layer that is trained anew sees the images with artefacts too, the same share of them.
        guidance: how much, in the loss, the evidence outside the lesion counts of images that have a lesion
            mask (:mod:`dermafed.shared.training.guidance`). Masks stay at the clinic, and a clinic without
            any trains as with 0. It needs a last layer that reads statistics of blocks.
        views: how many augmented views of each image are drawn before training, of which each pass takes the
            next one; what frozen blocks make of them is computed once. With 0, every pass draws anew.
        group_balance: what is done about unequal groups of patients, by age, sex or body site: images weigh
            so that group and class are independent at the clinic (Kamiran and Calders 2012).
        ridge: the exact head's penalty of the squared weights of standardised features, as a share of the
            images' weight. A direction in which the features vary by this share of one feature's variance
            is halved.
        head_images: a clinic with fewer training images sends no sums for the exact head, see
            :mod:`dermafed.shared.training.exact_head.head_sums`.
    """

    section: ClassVar[str] = "training"

    epochs: Annotated[
        Number,
        Field(gt=0, le=1000, description="Local epochs a round, or a fraction of one"),
        Key(synthetic=1, limit=5, asks="{:g} epochs a round"),
    ] = 0.25
    steps: Annotated[
        Annotated[int, Field(ge=1, le=100_000)] | None,
        Field(description="Local steps a round, in place of epochs"),
        Key(limit=0, asks="{} steps a round, however few images", example=100),
    ] = None
    batch_size: Annotated[
        int,
        Field(ge=1, le=4096, description="Images a step"),
        Key(limit=256, least=4, asks="batches of {} images"),
    ] = 16
    optimizer: Annotated[Optimizer, Field(description="Optimizer of the local training")] = "adamw"
    momentum: Annotated[Number, Field(ge=0, lt=1, description="Nesterov momentum of sgd")] = 0.9
    learning_rate: Annotated[
        Number,
        Field(gt=0, le=10, description="The peak of the learning rate"),
        Key(synthetic=5e-3, pretrained=1e-3, limit=0.1, asks="a learning rate of {:g}"),
    ] = 5e-4
    schedule: Annotated[Schedule, Field(description="cosine (with a warm-up) or constant")] = "cosine"
    warmup: Annotated[
        Number, Field(ge=0, lt=1, description="Share of the run spent warming up"), Key(simulated=False)
    ] = 0.1
    weight_decay: Annotated[
        Number, Field(ge=0, le=10, description="Decoupled weight decay of adamw"), Key(simulated=False)
    ] = 1e-4
    balance: Annotated[Balance, Field(description="Against unequal classes")] = "logits"
    mask_absent: Annotated[
        bool,
        Field(description="Let only the clinics that have a class train it and average its last weights"),
        Key(later=True),
    ] = False
    focus: Annotated[
        Number, Field(ge=0, le=100, description="Gamma of the focal loss"), AfterValidator(_checked_focus)
    ] = 0.0
    label_smoothing: Annotated[
        Number, Field(ge=0, lt=1, description="Smoothing of the one-hot labels"), Key(simulated=False)
    ] = 0.0
    augment: Annotated[
        bool,
        Field(description="Flip, rotate, zoom and relight training images at random"),
        Key(simulated=False),
    ] = True
    tones: Annotated[bool, Field(description="Give training images other skin tones at random")] = False
    artefacts: Annotated[
        Number,
        Field(ge=0, le=1, description="Share of training images on which ink, hair or the like is drawn"),
        Key(later=True),
    ] = 0.0
    guidance: Annotated[
        Number,
        Field(ge=0, le=10, description="Weight in the loss of evidence outside the lesion, where masks are"),
        Key(later=True),
    ] = 0.0
    views: Annotated[
        int,
        Field(ge=0, le=64, description="Augmented views of each image that are drawn once; 0: always anew"),
        Key(later=True, synthetic=2, pretrained=4),
    ] = 0
    group_balance: Annotated[Grouping, Field(description="Against unequal groups of patients")] = "none"
    ridge: Annotated[
        Number,
        Field(gt=0, le=1e6, description="Penalty of the exact head, of standardised features"),
        Key(later=True),
    ] = 0.1
    head_images: Annotated[
        int,
        Field(ge=1, le=1_000_000, description="Training images a clinic needs for the exact head"),
        Key(least=50, asks="an exact head of {} images", later=True),
    ] = 50

    @model_validator(mode="after")
    def _tones_are_augmentation(self) -> Self:
        if self.tones and not self.augment:
            raise SettingsError("'tones' is a part of 'augment'", where="tones", remedy="Set both, or none")
        return self

    @model_validator(mode="after")
    def _artefacts_are_augmentation(self) -> Self:
        if self.artefacts and not self.augment:
            remedy = "Set 'augment' too, or leave 'artefacts' out"
            raise SettingsError("'artefacts' are a part of 'augment'", where="artefacts", remedy=remedy)
        return self

    @model_validator(mode="after")
    def _views_are_augmented(self) -> Self:
        if self.views and not self.augment:
            remedy = "Set 'augment' too, or leave 'views' out"
            raise SettingsError("'views' are views of 'augment'", where="views", remedy=remedy)
        return self

    @property
    def work(self) -> str:
        """What a round asks of a clinic, in words."""
        return f"{self.epochs:g} epochs" if self.steps is None else f"{self.steps} steps"

    def steps_of_round(self, round: int, in_epoch: int) -> range:
        """A round's steps, counted from the run's start; one at least.

        Args:
            round: from 1.
            in_epoch: steps of an epoch.
        """
        a_round = self.steps or self.epochs * in_epoch
        first, end = math.ceil((round - 1) * a_round), math.ceil(round * a_round)
        return range(first, max(end, first + 1))

    def mean_rates(self, rounds: int) -> tuple[float, ...]:
        """The mean learning rate of each round of a run of so many."""
        places = range(_RATES_A_ROUND * rounds)
        rates = [self.learning_rate_at((place + 0.5) / len(places)) for place in places]
        return tuple(fmean(rates[_RATES_A_ROUND * round :][:_RATES_A_ROUND]) for round in range(rounds))

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
