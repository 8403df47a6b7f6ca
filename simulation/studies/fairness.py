"""Compares a study's models between groups of patients: metrics, gaps, and changes against the first row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dermafed.server.model_card.card_writer import write_card
from dermafed.server.model_card.run_facts import FAIRNESS_FILE, simulated_facts
from dermafed.shared.lesions.diagnoses import canonical
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.fairness.group_comparison import METHOD, GroupComparison, compare_groups
from dermafed.shared.metrics.fairness.group_metrics import METRICS, WORST, Floats, ImagePredictions
from dermafed.shared.metrics.intervals import Interval, percentile_interval
from dermafed.shared.storage.atomic_files import write_atomically, write_json
from dermafed.simulation.runs.default_settings import SYNTHETIC
from dermafed.simulation.runs.results import Predictions, TestImages
from dermafed.simulation.runs.run import Watcher, simulate
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.fairness_output import as_csv, group_plot, markdown
from dermafed.simulation.studies.image_groups import ORDER, Angles, groups_of, measure_angles
from dermafed.simulation.studies.study_runs import OWN, StudyRun, saved_predictions, saved_tests

ARMS = ("federated", "pooled", OWN)
Key = tuple[str, str, str]
Line = dict[str, Any]


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Compares every row's models between groups; small cells are left out of everything that is written.

    Args:
        runs: a study's finished runs.
        folder: the study's folder, for ``fairness.md``, ``fairness.csv`` and ``fairness.svg``.

    Returns:
        Lines of the kinds ``group``, ``gap`` and ``change``.

    Raises:
        ImageError: a test image can no longer be read.
    """
    tests = {run.folder: saved_tests(run) for run in runs}
    angles = measure_angles(record for each in tests.values() for record in _records(each))
    comparisons = dict(_comparisons(runs, tests, angles))
    classes = next(iter(tests.values())).classes
    groups = [line for key, found in comparisons.items() for line in group_lines(key, found, classes)]
    gaps = [line for key, found in comparisons.items() for line in gap_lines(key, found)]
    lines = [*groups, *gaps, *change_lines(comparisons, first=runs[0].row)]
    write_atomically(folder / "fairness.md", markdown(lines).encode())
    write_atomically(folder / "fairness.csv", as_csv(groups).encode())
    write_atomically(folder / "fairness.svg", group_plot(groups, runs[0].row))
    return lines


def group_lines(key: Key, found: GroupComparison, classes: Sequence[str]) -> Iterator[Line]:
    """A line for each group: its images, also by class, and its metrics; ``None`` if it is not disclosed."""
    for place, group in enumerate(found.groups):
        cells = zip(classes, found.counts[place], found.hidden.cells[place], strict=True)
        line = {
            **_named("group", key),
            "group": group,
            "images": None if found.hidden.groups[place] else int(found.counts[place].sum()),
            "classes": {name: None if secret else int(count) for name, count, secret in cells},
        }
        for index, metric in enumerate(METRICS):
            disclosed = found.disclosed(metric)[place]
            value = float(found.values[index, place])
            line[metric] = _with_interval(value, found.interval(metric, place)) if disclosed else None
        yield line


def gap_lines(key: Key, found: GroupComparison) -> Iterator[Line]:
    """A line for each metric that may be disclosed for at least two groups."""
    for metric in METRICS:
        if (gap := found.gap(metric)) is not None:
            yield {
                **_named("gap", key),
                "figure": metric,
                "lowest": gap.lowest,
                "highest": gap.highest,
                "gap": _with_interval(gap.value, gap.interval),
                "chance": gap.chance,
                "p": gap.p,
            }


def change_lines(comparisons: dict[Key, GroupComparison], *, first: str) -> Iterator[Line]:
    """The changes of each row against the first one, on the same test images: of the worst group and the gap.

    Returns:
        Lines with ``figure``, ``worst`` and ``gap``, each a ``value`` from ``low`` to ``high``; these are
        ``None`` without enough resamples.
    """
    for (row, arm, attribute), found in comparisons.items():
        base = comparisons.get((first, arm, attribute))
        if row == first or base is None or base.groups != found.groups:
            continue
        for index, metric in enumerate(METRICS):
            disclosed = found.disclosed(metric) & base.disclosed(metric)
            if disclosed.sum() > 1 and np.array_equal(base.counts, found.counts):
                pair = [
                    np.stack([j.values[index], *j.samples[:, index]])[:, disclosed] for j in (found, base)
                ]
                changes = {
                    "worst": _change(*(WORST[metric](values, axis=1) for values in pair)),
                    "gap": _change(*(np.ptp(values, axis=1) for values in pair)),
                }
                yield {**_named("change", (row, arm, attribute)), "figure": metric, **changes}


def _comparisons(
    runs: Sequence[StudyRun], tests: dict[Path, TestImages], angles: Angles
) -> Iterator[tuple[Key, GroupComparison]]:
    rows = {row: [run for run in runs if run.row == row] for row in dict.fromkeys(run.row for run in runs)}
    for row, own in rows.items():
        images = [tests[run.folder] for run in own]
        grouped = [groups_of(each, angles) for each in images]
        models = [saved_predictions(run) for run in own]
        for arm in [arm for arm in ARMS if all(arm in each for each in models)]:
            predictions = _image_predictions(own, images, [each[arm][0] for each in models])
            for attribute, order in ORDER.items():
                groups = [group for each in grouped for group in each[attribute]]
                names = order or sorted({group for group in groups if group})
                if (found := compare_groups(predictions, groups, names)) is not None:
                    yield (row, arm, attribute), found


def _image_predictions(
    runs: Sequence[StudyRun], tests: Sequence[TestImages], models: Sequence[Predictions]
) -> ImagePredictions:
    classes = [canonical(name) for name in tests[0].classes]
    sides = [each.roc_input(predictions) for each, predictions in zip(tests, models, strict=True)]
    # Synthetic lesions are drawn from the seed: those of two seeds only share their names.
    lesions = [
        (run.settings.seed if run.settings.data == SYNTHETIC else 0, record.group)
        for run, each in zip(runs, tests, strict=True)
        for record in _records(each)
    ]
    numbers = {lesion: number for number, lesion in enumerate(sorted(set(lesions)))}
    return ImagePredictions(
        np.concatenate([labels for labels, _ in sides]),
        np.concatenate([probabilities for _, probabilities in sides]),
        np.array([numbers[lesion] for lesion in lesions]),
        np.repeat(np.arange(len(sides)), [len(labels) for labels, _ in sides]),
        classes.index("melanoma") if "melanoma" in classes else None,
    )


def _records(tests: TestImages) -> list[LesionRecord]:
    return [record for own in tests.records.values() for record in own]


def _named(kind: str, key: Key) -> Line:
    return {"kind": kind, **dict(zip(("row", "arm", "attribute"), key, strict=True))}


def _change(mine: Floats, base: Floats) -> dict[str, float | None]:
    """The difference itself [0], and its interval by the resamples [1:]."""
    difference = mine - base
    return _with_interval(float(difference[0]), percentile_interval(difference[1:], METHOD))


def _with_interval(value: float, interval: Interval | None) -> dict[str, float | None]:
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return dict(zip(("value", "low", "high"), (value, *ends), strict=True))


def simulate_with_groups(
    settings: RunSettings, folder: Path, *, threads: int, command: str, watcher: Watcher
) -> dict[str, Any]:
    """Simulates a run, then compares its groups of patients; arguments and errors as of :func:`simulate`.

    Returns:
        The content of ``result.json``. ``fairness.*`` and a model card with the groups lie beside it.

    Raises:
        ImageError: a test image can no longer be read.
    """
    result = simulate(settings, folder, threads=threads, command=command, watcher=watcher)
    progress = watcher.stage("Comparing groups of patients")
    _write_group_comparison(settings, folder)
    progress(1, 1)
    return result


def _write_group_comparison(settings: RunSettings, folder: Path) -> None:
    lines = analyse([StudyRun("this run", settings, folder)], folder)
    write_json(folder / FAIRNESS_FILE, {"title": "By group of patients", "lines": lines})
    write_card(folder, simulated_facts(folder))
