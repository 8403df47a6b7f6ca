"""A run's settings: every key of a plan, and what only a simulation has; defaults depend on the data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_info import NAMED_WEIGHTS, check_first_weights
from dermafed.shared.model.model_settings import Architecture, ModelSettings
from dermafed.shared.protocol.compression_settings import CompressionSettings, check_coded
from dermafed.shared.protocol.defences import check_defences
from dermafed.shared.protocol.plan import Plan, RunKeys, Seed, Weights, check_lesion_features
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.robust_settings import RobustSettings
from dermafed.shared.settings import STRICT, Key, KeyInfo, Number, Settings, keys_of
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.training.recipe import Recipe
from dermafed.simulation.engines.engine_settings import EngineSettings
from dermafed.simulation.runs.attack_settings import AttackSettings
from dermafed.simulation.runs.default_settings import SYNTHETIC, default_settings

SETTINGS_FILE = "settings.json"

Split = Literal["drawn", "even", "given", "held-out"]

_DATA, _RUN = Key(panel="Data"), Key(panel="Run")
_COLUMN = Key(panel="Data", otherwise="by its name")


@dataclass(frozen=True, config=STRICT, kw_only=True)
class RunSettings(
    PreprocessSettings,
    Architecture,
    Recipe,
    AttackSettings,
    EngineSettings,
    RobustSettings,
    PrivacySettings,
    CompressionSettings,
    RunKeys,
):
    """What a simulated run is to do: its own fields, and those of a plan's parts.

    What is not given has its default for synthetic or for real images. Fields of the parts that
    ``fl-simulate`` does not take always have their default.
    """

    section: ClassVar[str] = ""

    data: Annotated[
        str,
        Field(description="Data set: a folder with a CSV manifest, a folder per class, COCO or LabelMe"),
        Key(panel="Data", otherwise="synthetic dermoscopy is drawn"),
    ] = SYNTHETIC
    image: Annotated[str | None, Field(description="The manifest's column with the image"), _COLUMN] = None
    label: Annotated[str | None, Field(description="The manifest's column with the label"), _COLUMN] = None
    clinics: Annotated[
        str,
        Field(description="The manifest's column that names the clinic, or iid:N, or dirichlet:N:ALPHA"),
        _DATA,
    ] = "clinic"
    classes: Annotated[
        str,
        Field(description="paper (melanoma, nevus, seborrheic keratosis), all, or new=a+b,other=c"),
        _DATA,
    ] = "paper"
    split: Annotated[
        Split,
        Field(
            description="drawn (70 % training, 10 % validation, 20 % test), even (the paper's: equally many "
            "images of each class), given by the manifest's column split, or held-out: what that column does "
            "not call training is the test, and validation is drawn from the rest"
        ),
        _DATA,
    ] = "drawn"
    only: Annotated[
        str | None,
        Field(description="Names of the clinics that take part, separated by commas"),
        Key(panel="Data", otherwise="all"),
    ] = None
    train_images: Annotated[
        str | None,
        Field(description="The largest number of training images: N of every clinic, or CLINIC:N of one"),
        Key(panel="Data", otherwise="all"),
    ] = None
    skip_bad: Annotated[
        bool, Field(description="Leave unreadable images and bad entries out, and count them"), _DATA
    ] = False
    weights: Annotated[Weights, Key(otherwise="lite0 synthetic if installed, imagenet real data")] = (
        "imagenet"
    )
    tune: Annotated[
        Number,
        Field(
            ge=0,
            description="Passes that each clinic trains alone after the last round; its own model is "
            "evaluated too",
        ),
    ] = 0.0
    baselines: Annotated[
        bool, Field(description="Also train each clinic alone, and all data pooled"), _RUN
    ] = True
    split_seed: Annotated[
        Seed | None,
        Field(description="Seed of the split into training, validation and test"),
        Key(panel="Data", otherwise="the seed"),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: ArgsKwargs) -> ArgsKwargs:
        """Add the defaults that depend on the data; make paths absolute."""
        keys, given = keys_of(cls), values.kwargs or {}
        filled = {
            name: value for name, value in given.items() if name not in keys or keys[name].key.simulated
        }
        filled = default_settings(filled, keys) | filled
        for name, names in (("data", (SYNTHETIC,)), ("weights", NAMED_WEIGHTS)):
            if isinstance(filled.get(name), str) and filled[name] not in names:
                filled[name] = str(Path(filled[name]).resolve())
        return ArgsKwargs((), filled)

    @model_validator(mode="after")
    def _defences_hold(self) -> Self:
        keys = {name: getattr(self, name) for name in keys_of(type(self))}
        check_defences(self.robust(), self.privacy(), keys)
        check_coded(self.bits, self.strategy)
        return self

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        check_lesion_features(self, self)
        for name in ("tune", "own_layer"):
            if getattr(self, name) and self.batch_norm == "local":
                remedy = f"Choose another batch_norm: {name} gives each clinic its own model anyway"
                raise SettingsError(f"{name} does not go with batch_norm local", where=name, remedy=remedy)
        return self

    def with_seed(self, seed: int) -> Self:
        """The settings with a seed, which is the split's too unless that has its own."""
        return replace(self, seed=seed, split_seed=seed if self.split_seed is None else self.split_seed)

    def preprocess(self) -> PreprocessSettings:
        """The preprocessing of the run."""
        return PreprocessSettings(**self._part(PreprocessSettings))

    def privacy(self) -> PrivacySettings:
        """What the server learns of each clinic, and of each patient."""
        return PrivacySettings(**self._part(PrivacySettings))

    def robust(self) -> RobustSettings:
        """The rule against hostile clinics."""
        return RobustSettings(**self._part(RobustSettings))

    def plan(self, classes: Sequence[str], class_counts: Sequence[int], threads: int) -> Plan:
        """What the run asks of every clinic.

        Args:
            classes: the model's classes.
            class_counts: training images of each, over all clinics.
            threads: threads of the backend in each process.

        Raises:
            SettingsError: the classes are impossible.
        """
        model = ModelSettings(tuple(classes), **self._part(Architecture))
        recipe, counts = Recipe(**self._part(Recipe)), tuple(class_counts)
        parts = (model, self.preprocess(), recipe)
        return Plan(*parts, self.rounds, counts, self.seed, threads, self.dp)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        values = super().to_dict()
        return {name: values[name] for name in option_keys() if name in values}

    def _part(self, kind: type[Settings]) -> dict[str, Any]:
        return {name: getattr(self, name) for name in keys_of(kind)}


def option_keys() -> dict[str, KeyInfo]:
    """The keys that ``fl-simulate`` and the rows of a study take."""
    return {name: key for name, key in keys_of(RunSettings).items() if key.key.simulated}


def check_settings(settings: RunSettings) -> None:
    """Refuse, before any work, settings that can be told to fail without reading the data.

    Raises:
        SettingsError: names the option and what it may be.
    """
    from dermafed.simulation.runs.subsets import parse_train_images

    with named_as_options():
        if settings.train_images is not None:
            parse_train_images(settings.train_images)
        check_first_weights(settings.weights, settings)
        settings.plan(("a", "b"), (1, 1), threads=1)


@contextmanager
def named_as_options() -> Iterator[None]:
    """Errors within name an option as it is typed."""
    try:
        yield
    except SettingsError as error:
        typed = f"--{error.where.replace('_', '-')}" if error.where in option_keys() else error.where
        raise SettingsError(error.what, where=typed, remedy=error.remedy) from None


def save_settings(folder: Path, settings: RunSettings, threads: int) -> None:
    """Write the settings a resumed run must share, and the threads its processes use."""
    write_json(folder / SETTINGS_FILE, {**settings.to_dict(), "threads": threads})


def load_settings(folder: Path) -> tuple[RunSettings, int]:
    """Read what :func:`save_settings` wrote.

    Raises:
        SettingsError: the folder holds no run, or its settings cannot be read.
    """
    path = folder / SETTINGS_FILE
    try:
        values = json.loads(path.read_text("utf-8"))
        threads = int(values.pop("threads"))
        # What is not written is not at the default of new runs, but as it was before there was such a key.
        unwritten = {name: key.default for name, key in option_keys().items() if key.key.later}
        settings = RunSettings(**unwritten | values)
        return settings.with_seed(settings.seed), threads
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SettingsError(
            "There is no run to resume", where=folder, remedy="Give a run's --out folder"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, SettingsError) as error:
        raise SettingsError(
            "The run's settings cannot be read", where=path, remedy="Start a new run"
        ) from error
