"""The cost of a federation, and its balanced accuracy, by the number of its clinics.

Bytes are those of all messages, as the run counted them; a run that did not, of an earlier version or by
Ray, sent the weights three times for each clinic and round: to the clinic for training, back, and to it again
for validation. Seconds are those of this machine, where the clinics work one after the other; the overhead is
the server's time while no clinic works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from dermafed.server.rounds.checkpoint import federated_folder, load_state
from dermafed.server.rounds.history import read_history
from dermafed.server.rounds.open_exchange import load_exchange
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.plots import line, logarithmic, panels, save
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import cell, over_seeds

TRANSFERS = 3
MEGABYTE = 10**6

Line = dict[str, Any]


_HEAD = (
    "Clinics",
    "Training images each",
    "Weights sent a round, MB",
    "Seconds a round",
    "Server's seconds",
    "Balanced accuracy",
)


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``cost.md`` and ``cost.svg`` into a study's folder."""
    lines = costs(runs)
    write_atomically(folder / "cost.md", markdown(lines).encode())
    draw(lines, folder / "cost.svg")
    return lines


def costs(runs: Iterable[StudyRun]) -> list[Line]:
    """A line for each row, in order of the number of clinics.

    Returns:
        ``row``, ``clinics``, ``images`` (for training, the median clinic's), ``megabytes`` (of weights, a
        round and all clinics), ``seconds`` and ``overhead`` (a round, median), and balanced accuracy on all
        test images as ``values`` by seed, ``mean`` and ``half_width``.
    """
    return sorted(means_by_row(runs, _cost), key=lambda line: float(line["clinics"]))


def means_by_row(runs: Iterable[StudyRun], measure: Callable[[StudyRun], Line]) -> list[Line]:
    """A line for each row: measures of its runs, as means over the seeds.

    Args:
        runs: the finished runs.
        measure: returns a run's numbers by name, one of them ``balanced_accuracy``.

    Returns:
        ``row``, the numbers' means, and balanced accuracy as ``values`` by seed, ``mean`` and ``half_width``.
    """
    found: dict[str, list[Line]] = {}
    for run in runs:
        found.setdefault(run.row, []).append(measure(run))
    return [{"row": row} | _over_seeds(own) for row, own in found.items()]


def counted_megabytes(run: StudyRun) -> list[tuple[float, float]] | None:
    """What a finished run sent each clinic in a round, and got from it; ``None``: it did not count."""
    folder = federated_folder(run.folder)
    exchange = load_exchange(folder)
    if exchange is None:
        return None
    unit = MEGABYTE * len(read_history(folder))
    return [(one.sent / unit, one.received / unit) for one in exchange.traffic.values()]


def megabytes_a_round(run: StudyRun) -> float:
    """What a finished run sends and receives in each round, for all clinics together."""
    if counted := counted_megabytes(run):
        return sum(sent + received for sent, received in counted)
    weights = load_state(federated_folder(run.folder)).weights
    return TRANSFERS * len(run.result()["clinics"]) * weights.nbytes / MEGABYTE


def _cost(run: StudyRun) -> Line:
    result, rounds = run.result(), read_history(federated_folder(run.folder))
    return {
        "clinics": len(result["clinics"]),
        "images": median(clinic["splits"]["train"] for clinic in result["clinics"]),
        "megabytes": megabytes_a_round(run),
        "seconds": median(row.seconds for row in rounds),
        "overhead": median(row.overhead_seconds for row in rounds),
        "balanced_accuracy": result["federated"]["balanced_accuracy"],
    }


def _over_seeds(costs: Sequence[Line]) -> Line:
    values = [cost["balanced_accuracy"] for cost in costs]
    means = {name: fmean(cost[name] for cost in costs) for name in costs[0] if name != "balanced_accuracy"}
    return means | over_seeds(values)


def markdown(lines: Sequence[Line]) -> str:
    """The costs as a Markdown table."""
    formats = {"clinics": ".0f", "images": ".0f", "megabytes": ".0f", "seconds": ".1f", "overhead": ".2f"}
    rows = [[*(format(line[name], digits) for name, digits in formats.items()), cell(line)] for line in lines]
    return f"# Cost against the number of clinics\n\n{markdown_table(_HEAD, rows, names=0)}"


def draw(lines: Sequence[Line], path: Path) -> None:
    """Draws balanced accuracy, seconds and megabytes against the number of clinics."""
    figure, axes = panels(3, shared=False)
    shown = {"balanced accuracy, all tests": "mean", "seconds a round": "seconds", "MB a round": "megabytes"}
    for panel, (label, name) in zip(axes, shown.items(), strict=True):
        half = "half_width" if name == "mean" else ""
        line(panel, 0, label, [(own["clinics"], own[name], own.get(half)) for own in lines])
        panel.set_ylabel(label)
        logarithmic(panel, "clinics", sorted({round(own["clinics"]) for own in lines}))
    save(figure, path)
