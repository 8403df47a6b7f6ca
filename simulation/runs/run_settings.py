"""A run's settings, and the defaults that depend on the data and on the first weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dermafed.shared.errors import SettingsError
from dermafed.shared.model.model_info import LITE0_PACKAGE, NAMED_WEIGHTS
from dermafed.shared.storage.atomic_files import write_json

SETTINGS_FILE = "settings.json"
SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the user asked for; ``None`` stands for a default that :meth:`resolved` fills in.

    Attributes:
        data: the data set's folder or file, or ``synthetic``.
        clinics: a column, ``iid:N`` or ``dirichlet:N:ALPHA``.
        classes: ``paper``, ``all`` or ``new=a+b,...``.
        rounds: federated rounds.
        epochs: local epochs a round; may be a fraction.
        steps: local steps a round, in place of epochs.
        strategy: the server's strategy.
        backbone: an EfficientNet of ``keras.applications``.
        weights: ``imagenet``, ``none``, ``lite0`` or a file.
        image_size: side of the network's input, pixels.
        engine: ``local`` or ``ray``.
        baselines: whether each clinic alone and all data pooled are trained too.
        seed: of everything random, but for the split where it has a seed of its own.
        split_seed: of who trains, validates and tests on which image; ``seed`` by default.
        denoise: ``bm3d``, ``bm3d-package`` or ``none``.
        clahe: whether local contrast is equalised.
        fit: ``crop`` or ``pad``.
        batch_norm: ``fixed``, ``aggregate``, ``frozen`` or ``local``.
        frozen_blocks: the backbone's first blocks that are not trained.
        batch_size: images a step.
        optimizer: ``adamw`` or ``sgd``.
        momentum: of ``sgd``.
        learning_rate: the schedule's peak.
        schedule: ``cosine`` or ``constant``.
        balance: ``none``, ``weights``, ``logits`` or ``global``.
        focus: gamma of the focal loss.
        tones: whether training images get other skin tones at random.
        group_balance: ``none``, or by ``age``, ``sex`` or ``site``.
        tune: passes that each clinic goes on alone after the last round, to be judged with its own model.
        metadata: whether age, sex and body site enter the model.
        split: ``drawn`` at random, ``even`` (drawn, then equally many images of each class, as in the
            paper), ``given`` by the manifest's column ``split``, or ``held-out``: a test that it gives.
        only: the clinics that take part, separated by commas; ``None``: all.
        train_images: training images that are kept at most: ``N`` of every clinic, ``CLINIC:N`` of one.
        skip_bad: whether unreadable images are left out instead of ending the run.
        explain: whether each clinic measures how good explanations of the last model are.
    """

    data: str = SYNTHETIC
    clinics: str = "clinic"
    classes: str = "paper"
    rounds: int | None = None
    epochs: float | None = None
    steps: int | None = None
    strategy: str = "fedavg"
    backbone: str = "EfficientNetB0"
    weights: str | None = None
    image_size: int | None = None
    engine: str = "local"
    baselines: bool = True
    seed: int = 0
    split_seed: int | None = None
    denoise: str = "bm3d"
    clahe: bool = True
    fit: str = "crop"
    batch_norm: str | None = None
    frozen_blocks: int | None = None
    batch_size: int = 16
    optimizer: str = "adamw"
    momentum: float = 0.9
    learning_rate: float | None = None
    schedule: str = "cosine"
    balance: str = "logits"
    focus: float = 0.0
    tones: bool = False
    group_balance: str = "none"
    tune: float = 0.0
    metadata: bool = False
    split: str = "drawn"
    only: str | None = None
    train_images: str | None = None
    skip_bad: bool = False
    explain: bool = False

    def resolved(self) -> RunSettings:
        """The settings with every default filled in."""
        synthetic = self.data == SYNTHETIC
        weights = self.weights or (self._synthetic_start() if synthetic else "imagenet")
        pretrained = weights not in ("none", "lite0")
        return replace(
            self,
            data=self.data if synthetic else str(Path(self.data).resolve()),
            weights=weights if weights in NAMED_WEIGHTS else str(Path(weights).resolve()),
            rounds=_first(self.rounds, 10 if synthetic else 32),
            epochs=_first(self.epochs, 1 if synthetic else 0.25),
            learning_rate=_first(self.learning_rate, 1e-3 if synthetic else 5e-4),
            image_size=_first(self.image_size, 64 if synthetic else 128),
            batch_norm=_first(self.batch_norm, "fixed"),
            frozen_blocks=_first(self.frozen_blocks, 4 if pretrained else 0),
            split_seed=_first(self.split_seed, self.seed),
        )

    def _synthetic_start(self) -> str:
        """``lite0`` where its package is installed: it starts far ahead of ``none``, without a download."""
        fits = self.backbone == "EfficientNetB0" and find_spec(LITE0_PACKAGE) is not None
        return "lite0" if fits else "none"

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return asdict(self)


def save_settings(folder: Path, settings: RunSettings, threads: int) -> None:
    """Writes the settings a resumed run must share, and the threads its processes use."""
    write_json(folder / SETTINGS_FILE, {**settings.to_dict(), "threads": threads})


def load_settings(folder: Path) -> tuple[RunSettings, int]:
    """Reads what :func:`save_settings` wrote.

    Raises:
        SettingsError: the folder holds no run, or its settings cannot be read.
    """
    path = folder / SETTINGS_FILE
    try:
        values = json.loads(path.read_text("utf-8"))
        threads = int(values.pop("threads"))
        return RunSettings(**values).resolved(), threads  # an older version's lack the newest settings
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SettingsError(
            "There is no run to resume", where=folder, remedy="Give a run's --out folder"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            "The run's settings cannot be read", where=path, remedy="Start a new run"
        ) from error


def check_same(kept: RunSettings, asked: dict[str, Any], folder: Path) -> None:
    """Refuses options that differ from those of the run to resume.

    Args:
        kept: the run's settings.
        asked: the options given on the command line now, by name.
        folder: the run's folder.

    Raises:
        SettingsError: an option differs; names it.
    """
    now = replace(kept, **asked).resolved()
    for name, value in kept.to_dict().items():
        if getattr(now, name) != value:
            raise SettingsError(
                f"The run was started with {name} = {value}, not {getattr(now, name)}",
                where=folder,
                remedy="Resume it without that option, or start a new run",
            )


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value
