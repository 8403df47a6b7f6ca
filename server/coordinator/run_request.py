"""From a plan file to a recorded run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dermafed.server.coordinator.durations import format_duration
from dermafed.server.coordinator.plan_file import RunPlan, read_plan
from dermafed.server.record.clinics_table import list_clinics
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import NewRun, Run, add_run, find_run
from dermafed.shared.errors import SettingsError


def ask_for(record: Record, path: Path) -> tuple[Run, RunPlan]:
    """Record the run of a plan file, for the server to take up.

    Raises:
        InputError: the plan cannot be used, or names a clinic that is not enrolled.
    """
    plan, text = read_plan(path)
    clinics = _clinics(record, plan, path)
    plan.rules(len(clinics))
    offer = plan.offer
    asked = NewRun(offer.name, text, path.resolve(), clinics, offer.to_text(), offer.hash, offer.rounds)
    add_run(record, asked)
    return find_run(record, offer.name), plan


def describe(plan: RunPlan) -> dict[str, dict[str, Any]]:
    """What was understood of a plan, by section, as JSON types."""
    offer = plan.offer
    return {
        "run": {
            "name": offer.name,
            "rounds": offer.rounds,
            "strategy": offer.strategy,
            "weights": plan.weights,
            "split": offer.split,
            "seed": offer.seed,
            "threads": offer.threads,
            "explain": offer.explain,
            "calibrate": offer.calibrate,
            "labels": dict(offer.labels),
        },
        "model": offer.model.to_dict(),
        "preprocess": offer.preprocess.to_dict(),
        "training": offer.recipe.to_dict(),
        "rules": {
            "quorum": plan.quorum,
            "deadline": format_duration(plan.deadline),
            "approval": format_duration(plan.approval),
            "wait": format_duration(plan.wait),
            "attempts": plan.attempts,
            "patience": plan.patience,
        },
    }


def _clinics(record: Record, plan: RunPlan, path: Path) -> tuple[str, ...]:
    enrolled = tuple(clinic.name for clinic in list_clinics(record, revoked=False))
    unknown = [name for name in plan.clinics or () if name not in enrolled]
    if unknown:
        raise SettingsError(
            f"Not enrolled: {', '.join(unknown)}",
            where=f"{path}, clinics",
            remedy=f"Those enrolled: {', '.join(enrolled) or 'none'}",
        )
    if not enrolled:
        raise SettingsError("No clinic is enrolled", where=path, remedy="Run: fl-server enrol CLINIC KEY.pub")
    return plan.clinics or enrolled
