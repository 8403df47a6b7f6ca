"""The plan of a run: what a coordinator or a simulation asks of every clinic, as plain data.

Each key has its type, range, default and help at its field: here those of the run itself, in
:mod:`dermafed.shared.model.model_settings`, :mod:`dermafed.shared.imaging.preprocess_settings` and
:mod:`dermafed.shared.training.recipe` those of the sections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import Architecture, ModelSettings, default_frozen_blocks
from dermafed.shared.privacy.dp_settings import AskedDp
from dermafed.shared.protocol.defences import defaults_with_defences
from dermafed.shared.settings import STRICT, Key, Settings, keys_of
from dermafed.shared.training.recipe import Recipe

StrategyName = Literal["fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "fedadagrad", "exact-head"]
"""The keys of :data:`dermafed.server.rounds.strategies.STRATEGIES`."""

EXACT_HEAD = "exact-head"

Refit = Literal["none", "ridge", "logistic"]
"""How the last layer is trained anew after the last round."""

PARTS: dict[str, type[Settings]] = {
    "model": ModelSettings,
    "preprocess": PreprocessSettings,
    "recipe": Recipe,
}
"""The parts of a plan."""

Rounds = Annotated[
    int,
    Field(ge=1, le=9999, description="Federated rounds"),
    Key(synthetic=10, pretrained=16, limit=100, asks="{} rounds"),
]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1, description="Seed of all random draws"), Key(panel="Run")]
Weights = Annotated[
    str, Field(description="First weights: imagenet (downloaded), none, lite0, or a .h5 file")
]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class RunKeys(Settings):
    """What defines a run besides its model, preprocessing and training.

    Attributes:
        rounds: number of rounds.
        strategy: the server's strategy.
        refit: whether the last layer is trained anew after the last round, on the last model's features, by
            ridge or logistic regression with classes of equal weight; kept if it is no worse in validation.
        own_layer: whether each clinic then fits its own last layer, near the run's, to its training images.
            The layer stays at the clinic, which calibrates and uses the model with it.
        explain: whether clinics are asked, after the last round, how good explanations of the model are.
        lesion_finder: whether clinics are asked, after the last round, for the sums of a lesion finder
            (:mod:`dermafed.shared.lesion_finder`); clinics without masks receive it too.
        audit_model: whether clinics are asked, after the last round, for counts of the answers that change
            when artefacts are drawn on their test images (:mod:`dermafed.shared.metrics.shortcuts`).
        seed: seed of all random draws, but those that protect clinics and patients.
    """

    rounds: Rounds = 32
    strategy: Annotated[
        StrategyName, Field(description="Strategy of the server"), Key(asks="the strategy {}")
    ] = "fedavg"
    refit: Annotated[
        Refit,
        Field(description="Train the last layer anew after the last round: none, ridge or logistic"),
        Key(later=True, synthetic="logistic", pretrained="logistic", asks="the last layer anew: {}"),
    ] = "none"
    own_layer: Annotated[
        bool,
        Field(description="After the last round, each clinic fits its own last layer, near the model's"),
        Key(later=True, pretrained=True),
    ] = False
    explain: Annotated[
        bool,
        Field(
            description="Also measure, at each clinic, how good explanations of the last model are (minutes)"
        ),
        Key(limit=True, asks="explanations"),
    ] = False
    lesion_finder: Annotated[
        bool,
        Field(description="After the last round, fit a finder of lesions to the clinics' lesion masks"),
        Key(later=True, limit=True, asks="a lesion finder"),
    ] = False
    audit_model: Annotated[
        bool,
        Field(description="After the last round, audit the model for shortcuts on test images (minutes)"),
        Key(later=True, limit=True, asks="an audit of shortcuts"),
    ] = False
    seed: Seed = 0

    @model_validator(mode="after")
    def _exact_head_has_one_round(self) -> Self:
        if self.strategy == EXACT_HEAD and self.rounds != 1:
            remedy = "Give 1: further rounds give the same head again"
            raise SettingsError(f"{EXACT_HEAD} with {self.rounds} rounds", where="rounds", remedy=remedy)
        return self


def check_lesion_features(model: Architecture, run: RunKeys) -> None:
    """Refuse features of the lesion in a run that finds none, or that trains no last layer on them.

    Raises:
        SettingsError: names what is missing.
    """
    if model.features == "lesion" and (not run.lesion_finder or run.refit == "none"):
        raise SettingsError(
            "Features of the lesion need a lesion finder, and a last layer trained anew once it is found",
            where="features",
            remedy="Set lesion_finder to true and refit to logistic, or features to blocks",
        )


@dataclass(frozen=True, config=STRICT)
class Plan(Settings):
    """A run, as the clinics' trainers need to know it.

    Attributes:
        model: the architecture.
        preprocess: how images are prepared; its image size is the model's.
        recipe: the local training.
        rounds: number of rounds.
        class_counts: training images of each class over all clinics, in the order of the model's classes.
        seed: seed of all random draws.
        threads: threads of the backend in each process; fixed, since it changes rounding.
        dp: differential privacy of each patient; ``None``: there is none.
    """

    section: ClassVar[str] = "plan"

    model: ModelSettings
    preprocess: PreprocessSettings
    recipe: Recipe
    rounds: Rounds
    class_counts: tuple[int, ...]
    seed: Seed = 0
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    dp: Annotated[AskedDp, Key(later=True)] = None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.preprocess.image_size != self.model.image_size:
            raise SettingsError("The model and the preprocessing differ in image size", where="image_size")
        if len(self.class_counts) != len(self.model.classes):
            raise SettingsError("The model and the class counts differ in length", where="class_counts")
        if self.recipe.views and not self.model.frozen_blocks:
            what = "'views' saves what frozen blocks make of images, and no block is frozen"
            raise SettingsError(what, where="views", remedy="Set 'frozen_blocks', or leave 'views' out")
        if self.recipe.guidance and self.model.features == "pooled":
            what = "'guidance' needs a last layer that reads statistics of blocks"
            remedy = "Set 'features' to blocks or lesion, or leave 'guidance' out"
            raise SettingsError(what, where="guidance", remedy=remedy)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON types."""
        parts = {name: getattr(self, name).to_dict() for name in PARTS}
        return {**super().to_dict(), **parts}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The plan from :meth:`to_dict`; raises SettingsError on an unknown, missing or impossible field."""
        return super().from_dict({**values, **read_parts(values)})


def defaults_by_weights(weights: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a new plan's or run's keys that depend on the first weights: by name.

    What another key excludes is left out: views without frozen blocks or augmentation, a new last layer where
    there is no calibration or only a last layer, each clinic's own where there is no calibration or each has
    its own batch normalisation; and whatever contradicts a defence that is asked for.

    Args:
        weights: their origin.
        given: the keys that are given, whatever their section.
    """
    return _by_weights(weights, given) | defaults_with_defences(given)


def _by_weights(weights: str, given: Mapping[str, Any]) -> dict[str, Any]:
    frozen_blocks = default_frozen_blocks(weights)
    if not frozen_blocks:
        return {"frozen_blocks": 0}
    parts: tuple[type[Settings], ...] = (RunKeys, *PARTS.values())
    keys = {name: info.key.pretrained for part in parts for name, info in keys_of(part).items()}
    found = {name: value for name, value in keys.items() if value is not None}
    return without_excluded(found | {"frozen_blocks": frozen_blocks}, given)


def without_excluded(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults without those that a given key excludes."""
    excluded = set()
    if given.get("frozen_blocks") == 0 or given.get("augment") is False:
        excluded.add("views")
    if given.get("strategy") == EXACT_HEAD or given.get("calibrate") is False:
        excluded.add("refit")
    if given.get("calibrate") is False or given.get("batch_norm") == "local":
        excluded.add("own_layer")
    return {name: value for name, value in defaults.items() if name not in excluded}


def read_parts(values: Mapping[str, Any], parts: Mapping[str, type[Settings]] = PARTS) -> dict[str, Settings]:
    """The model, preprocessing and recipe of a plan, or the parts of an offer.

    Raises:
        SettingsError: one is missing or impossible.
    """
    return {name: kind.from_dict(values[name]) for name, kind in parts.items() if name in values}
