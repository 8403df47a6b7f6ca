"""Results of training budgets: passes over the images, rounds and learning rates, on validation images.

A budget is chosen by these results, so they use no test images. See
:mod:`dermafed.simulation.studies.cost` for the transfers of the weights and the minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dermafed.server.rounds.checkpoint import federated_folder
from dermafed.server.rounds.history import read_history
from dermafed.shared.errors import SettingsError
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.studies.cost import means_by_row, megabytes_a_round
from dermafed.simulation.studies.markdown_table import markdown_table
from dermafed.simulation.studies.plots import line, logarithmic, panels, save
from dermafed.simulation.studies.study_runs import StudyRun
from dermafed.simulation.studies.summary import cell

Line = dict[str, Any]

_HEAD = (
    "Passes",
    "Rounds",
    "Passes a round",
    "Learning rate",
    "Weights sent, GB",
    "Minutes",
    "Validation: AUC",
    "Balanced accuracy",
)


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``budget.md`` and ``budget.svg`` into a study's folder."""
    lines = budgets(runs)
    write_atomically(folder / "budget.md", markdown(lines).encode())
    draw(lines, folder / "budget.svg")
    return lines


def budgets(runs: Iterable[StudyRun]) -> list[Line]:
    """A line for each row, in order of its passes and rounds.

    Returns:
        ``row``, ``passes`` over every clinic's images in all, ``rounds``, ``epochs`` (passes a round),
        ``learning_rate``, ``gigabytes`` (of weights, in all), ``minutes``, and of the last round's model on
        all clinics' validation images ``auc``, and balanced accuracy as ``values`` by seed, ``mean`` and
        ``half_width``.

    Raises:
        SettingsError: a run counts steps, not passes.
    """
    lines = means_by_row(runs, _budget)
    return sorted(lines, key=lambda own: (own["passes"], own["rounds"], own["learning_rate"]))


def _budget(run: StudyRun) -> Line:
    if run.settings.steps:
        raise SettingsError("A budget counts passes, not steps", where=run.row, remedy="Set epochs")
    rounds = read_history(federated_folder(run.folder))
    epochs = run.settings.epochs
    return {
        "passes": len(rounds) * epochs,
        "rounds": len(rounds),
        "epochs": epochs,
        "learning_rate": run.settings.learning_rate,
        "gigabytes": len(rounds) * megabytes_a_round(run) / 1000,
        "minutes": sum(row.seconds for row in rounds) / 60,
        "auc": rounds[-1].validation_auc,
        "balanced_accuracy": rounds[-1].validation_balanced_accuracy,
    }


def markdown(lines: Sequence[Line]) -> str:
    """The budgets as a Markdown table."""
    formats = {
        "passes": "g",
        "rounds": ".0f",
        "epochs": "g",
        "learning_rate": "g",
        "gigabytes": ".1f",
        "minutes": ".0f",
        "auc": ".3f",
    }
    rows = [[*(format(own[name], digits) for name, digits in formats.items()), cell(own)] for own in lines]
    return f"# What a budget gives\n\n{markdown_table(_HEAD, rows, names=0)}"


def draw(lines: Sequence[Line], path: Path) -> None:
    """Draws AUC by passes and by gigabytes, a line for each number of passes a round and learning rate.

    Balanced accuracy is in the table only: it depends on each class's threshold more than on the budget.
    """
    figure, axes = panels(2)
    for panel, (label, name) in zip(
        axes, {"passes over the images": "passes", "GB of weights sent": "gigabytes"}.items(), strict=True
    ):
        for number, way in enumerate(sorted({(own["epochs"], own["learning_rate"]) for own in lines})):
            same = [own for own in lines if (own["epochs"], own["learning_rate"]) == way]
            line(panel, number, "{:g}, {:g}".format(*way), [(own[name], own["auc"], None) for own in same])
        logarithmic(panel, label, sorted({own[name] for own in lines}), ".2g")
    axes[0].set_ylabel("AUC, validation")
    ways = axes[0].get_legend_handles_labels()
    title = "passes a round, learning rate"
    figure.legend(*ways, loc="outside upper center", title=title, ncols=4, frameon=False)
    save(figure, path)
