"""A study's file: rows of runs that differ in a few settings, each repeated with several seeds."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from dermafed.shared.errors import SettingsError
from dermafed.shared.names import slug
from dermafed.shared.settings import unknown_key
from dermafed.simulation.runs.run_settings import RunSettings, option_keys

ANALYSES = (
    *("budget", "compression", "cost", "fairness", "hostile", "learning-curve", "melanoma"),
    *("methods", "models", "pairs", "privacy", "shortcuts"),
)
"""Names of the analyses of finished runs; each is a module of this folder with a function ``analyse``."""

VIEWS = ("cam", "scorecam", "centre", "random")

_KEYS = {"title", "seeds", "judgements", "validation_only", "base", "rows", "quick", "published"}
_METRICS = {"accuracy", "precision", "recall", "f1", "balanced_accuracy", "auc"}


@dataclass(frozen=True, slots=True)
class View:
    """A row without a training: the models of another row get a second view of each image (``guided``).

    Attributes:
        of: name of the other row.
        look: the part of the image that the second view shows, one of :data:`VIEWS`.
    """

    of: str
    look: str


@dataclass(frozen=True, slots=True)
class Study:
    """A study's file.

    Attributes:
        name: name of the file.
        title: title of the results.
        seeds: seeds of the runs of each row without its own.
        rows: the runs' settings except the seed, by the row's name.
        analyses: analyses of the finished runs, besides their table; names of :data:`ANALYSES`.
        views: the rows with a second view, by name.
        order: the names of all rows, as in the file.
        published: metrics that others published for a row, by row and metric.
        own_seeds: seeds of the rows with their own.
        validation_only: whether no metric of the test is written, since the study chooses settings.
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    rows: dict[str, RunSettings]
    analyses: tuple[str, ...] = ()
    views: dict[str, View] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    published: dict[str, dict[str, float]] = field(default_factory=dict)
    own_seeds: dict[str, tuple[int, ...]] = field(default_factory=dict)
    validation_only: bool = False

    def seeds_of(self, row: str) -> tuple[int, ...]:
        """The seeds of a row with a training."""
        return self.own_seeds.get(row, self.seeds)

    def runs(self) -> Iterator[tuple[str, RunSettings]]:
        """The rows' names and their runs' settings; the first seed of every row comes first."""
        seeds = {row: self.seeds_of(row) for row in self.rows}
        for turn in range(max(map(len, seeds.values()))):
            for row, settings in self.rows.items():
                if turn < len(seeds[row]):
                    yield row, settings.with_seed(seeds[row][turn])

    def only(self, chosen: Collection[str]) -> Study:
        """The study with the chosen rows only, and the rows whose models their second views use.

        Raises:
            SettingsError: there is no such row.
        """
        _refuse(Path(self.name), "row", set(chosen) - set(self.order), set(self.order))
        views = {row: view for row, view in self.views.items() if row in chosen}
        needed = {*chosen, *(view.of for view in views.values())}
        return replace(
            self,
            rows={row: settings for row, settings in self.rows.items() if row in needed},
            views=views,
            order=tuple(row for row in self.order if row in needed),
            published={row: metrics for row, metrics in self.published.items() if row in needed},
        )


def study_names() -> list[str]:
    """The names of the studies that come with the package."""
    return sorted(entry.name[:-5] for entry in files(__package__).iterdir() if entry.name.endswith(".toml"))


def read_study(name: str, given: Mapping[str, Any], *, quick: bool = False) -> Study:
    """Reads a study.

    Args:
        name: one of :func:`study_names`, or a TOML file.
        given: settings that replace those of the file in every row, such as ``data``.
        quick: whether the file's table ``quick`` replaces its seeds, rows and settings.

    Raises:
        SettingsError: there is no such study, or it cannot be used; names the file and the key.
    """
    is_ours = name in study_names()
    path = Path(str(files(__package__) / f"{name}.toml")) if is_ours else Path(name)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        remedy = f"Give a TOML file, or one of {', '.join(study_names())}"
        raise SettingsError("There is no such study", where=name, remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"The study cannot be read: {error}", where=path) from error
    return _study(content, path, given, quick)


def _study(content: Mapping[str, Any], path: Path, given: Mapping[str, Any], quick: bool) -> Study:
    _refuse(path, "key", set(content) - _KEYS, _KEYS)
    analyses = tuple(map(str, _typed(path, content, "judgements", list)))
    _refuse(path, "analysis", set(analyses) - set(ANALYSES), set(ANALYSES))
    fast = dict(_typed(path, content, "quick", dict)) if quick else {}
    seeds = _seeds(path, "seeds", fast.pop("seeds", content.get("seeds", [0])))
    base = _typed(path, content, "base", dict)
    of_quick = "rows" in fast
    given_rows = _tables(path, fast if of_quick else content, "rows")
    fast.pop("rows", None)
    own_seeds = {
        row: _seeds(path, f"seeds of the row '{row}'", own.pop("seeds"))
        for row, own in given_rows.items()
        if "seeds" in own and "of" not in own
    }
    if quick and not of_quick:  # the table quick has fewer
        own_seeds = {}
    rows = {
        row: _settings(path, row, {**base, **own, **fast, **given})
        for row, own in given_rows.items()
        if "of" not in own
    }
    if not rows:
        raise SettingsError("A study needs rows", where=path)
    _refuse_same_folders(path, given_rows)
    views = {row: _view(path, row, own, rows) for row, own in given_rows.items() if "of" in own}
    published = {} if quick else _published(path, _tables(path, content, "published"), set(given_rows))
    title = content.get("title", path.stem)
    order, untested = tuple(given_rows), content.get("validation_only", False)
    return Study(path.stem, title, seeds, rows, analyses, views, order, published, own_seeds, untested)


def _seeds(path: Path, where: str, seeds: Any) -> tuple[int, ...]:
    whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        remedy = "Write, for instance, seeds = [0, 1, 2]"
        raise SettingsError(f"The {where} are not different whole numbers", where=path, remedy=remedy)
    return tuple(seeds)


def _view(path: Path, row: str, own: Mapping[str, Any], rows: Mapping[str, RunSettings]) -> View:
    _refuse(path, f"setting in the row '{row}'", set(own) - {"of", "look"}, {"of", "look"})
    of, look = str(own["of"]), str(own.get("look", ""))
    _refuse(path, f"trained row for '{row}'", {of} - set(rows), set(rows))
    _refuse(path, f"second view in the row '{row}'", {look} - set(VIEWS), set(VIEWS))
    if rows[of].batch_norm == "local":
        remedy = "Name a row that ends with one model"
        raise SettingsError(f"'{of}' has another model at each clinic", where=path, remedy=remedy)
    return View(of, look)


def _tables(path: Path, content: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = content.get(key, {})
    if not isinstance(found, dict) or not all(isinstance(own, dict) for own in found.values()):
        remedy = f'Write [{key}."NAME"] and its settings below'
        raise SettingsError(f"'{key}' is not a table of tables", where=path, remedy=remedy)
    return found


def _published(
    path: Path, content: Mapping[str, Mapping[str, Any]], rows: set[str]
) -> dict[str, dict[str, float]]:
    _refuse(path, "row for published metrics", set(content) - rows, rows)
    for row, metrics in content.items():
        _refuse(path, f"published metric of '{row}'", set(metrics) - _METRICS, _METRICS)
        if not all(isinstance(value, int | float) for value in metrics.values()):
            raise SettingsError(f"A published metric of '{row}' is not a number", where=path)
    return {row: {name: float(value) for name, value in own.items()} for row, own in content.items()}


def _typed(path: Path, content: Mapping[str, Any], key: str, kind: type) -> Any:
    value, name = content.get(key, kind()), "table" if kind is dict else "list"
    if not isinstance(value, kind):
        raise SettingsError(f"'{key}' is not a {name}", where=path, remedy=f"Write it as a {name}")
    return value


def _refuse_same_folders(path: Path, rows: Collection[str]) -> None:
    folders: dict[str, str] = {}
    for row in rows:
        if (other := folders.setdefault(slug(row), row)) != row:
            message = f"The rows '{other}' and '{row}' would have the same folder"
            raise SettingsError(message, where=path, remedy="Name them with different letters or digits")


def _settings(path: Path, row: str, values: Mapping[str, Any]) -> RunSettings:
    known = [name for name in option_keys() if name != "seed"]
    try:
        for name in values:
            if name not in known:
                raise unknown_key(name, known)
        return RunSettings(**values)
    except SettingsError as error:
        place = f"{path}, row '{row}', {error.where}"
        raise SettingsError(
            error.what, where=place, remedy=error.remedy or "See: fl-simulate --help"
        ) from None


def _refuse(path: Path, kind: str, unknown: set[str], known: set[str]) -> None:
    if unknown:
        raise SettingsError(
            f"There is no {kind} named '{min(unknown)}'", where=path, remedy=f"Use {', '.join(sorted(known))}"
        )
