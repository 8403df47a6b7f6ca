"""The saved models of all runs, their cards, and how two runs and their models differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dermafed.server.coordinator.current_state import run_folder
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.model_card.card_facts import CardFacts, publishable_counts
from dermafed.server.model_card.card_writer import card_html, card_text
from dermafed.server.model_card.run_facts import federated_facts
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import read_rounds
from dermafed.server.record.runs_table import Run, list_runs
from dermafed.server.rounds.history import HistoryRow, best_round, guesses
from dermafed.shared.report.sentences import number, setting, spaced

_ALIGNED = {f' style="text-align:{side}"': f' class="{side}"' for side in ("left", "center", "right")}


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model on the coordinator's disk.

    Attributes:
        run: whose.
        round: after which round; 0 is the start.
        size: bytes of the file.
        roles: ``start``, ``last`` and ``best``, as they apply.
        row: the round; ``None`` for the start.
    """

    run: Run
    round: int
    size: int
    roles: tuple[str, ...]
    row: HistoryRow | None

    @property
    def has_card(self) -> bool:
        """Whether there is a card of it: of the last model of a run, once a round is finished."""
        return "last" in self.roles and self.row is not None


@dataclass(frozen=True, slots=True)
class Difference:
    """A line of the comparison of two models.

    Attributes:
        section: its heading.
        name: what is compared.
        values: of both; a dash where one has none.
    """

    section: str
    name: str
    values: tuple[str, str]

    @property
    def differs(self) -> bool:
        """Whether the two values are not the same."""
        return self.values[0] != self.values[1]


def saved_models(record: Record, folder: Path) -> list[SavedModel]:
    """All models that are on disk, the latest run first."""
    found = [model for run in list_runs(record) for model in _models_of(record, folder, run)]
    return sorted(found, key=lambda model: (-model.run.number, model.round))


def _models_of(record: Record, folder: Path, run: Run) -> Iterator[SavedModel]:
    history = read_rounds(record, run.number)
    rows = {row.round: row for row in history}
    last = history[-1].round if history else 0
    best = best_round(history)
    for path in sorted(run_folder(folder, run).glob("round-*.npz")):
        round = int(path.stem.removeprefix("round-"))
        row = rows.get(round)
        is_best = row is not None and round == best and not guesses(row)
        roles = {"start": not round, "last": round == last, "best": is_best}
        yield SavedModel(
            run, round, path.stat().st_size, tuple(name for name, applies in roles.items() if applies), row
        )


def card_of(record: Record, run: Run) -> Markup:
    """The card of a run's last model as HTML.

    Raises:
        SettingsError: no round of the run is finished.
        FederationError: a file of the run cannot be read.
    """
    html = card_html(card_text(federated_facts(record, run)))
    for inline, by_class in _ALIGNED.items():  # the page's policy allows no inline style
        html = Markup(html.replace(inline, by_class))
    return html


def differences(record: Record, runs: tuple[Run, Run]) -> list[Difference]:
    """What two runs and their last models have in common, and in what they differ.

    Raises:
        SettingsError: no round of a run is finished.
        FederationError: a file of a run cannot be read.
    """
    first, second = (_described(record, run) for run in runs)
    keys = dict.fromkeys([*first, *second])
    return [Difference(*key, (first.get(key, "–"), second.get(key, "–"))) for key in keys]


def _described(record: Record, run: Run) -> dict[tuple[str, str], str]:
    """Everything about a run's last model as texts, by section and name."""
    facts = federated_facts(record, run)
    sections: dict[str, Mapping[str, str]] = {
        "The model": _model(facts),
        "Validation, all clinics together": _validation(facts),
        "Training images": {
            spaced(name): "fewer than ten" if count is None else str(count)
            for name, count in publishable_counts(facts.images).items()
        },
        **_plan(run),
    }
    return {(section, name): text for section, own in sections.items() for name, text in own.items()}


def _model(facts: CardFacts) -> dict[str, str]:
    return {
        "round": str(facts.model.round),
        "classes": ", ".join(map(spaced, facts.model.model.classes)),
        "first weights": str(facts.model.origin),
        "clinics": ", ".join(facts.clinics) or "–",
        "day": facts.day,
    }


def _validation(facts: CardFacts) -> dict[str, str]:
    values = facts.validation or {}
    return {
        spaced(name.removeprefix("validation_")): number(values[name])
        for name in values
        if name.startswith("validation_")
    }


def _plan(run: Run) -> dict[str, dict[str, str]]:
    plan: dict[str, dict[str, Any]] = parse_plan(run.plan, run.plan_path).to_dict()
    return {
        f"The plan: {section}": {
            name: setting(value) for name, value in keys.items() if (section, name) != ("run", "name")
        }
        for section, keys in plan.items()
    }
