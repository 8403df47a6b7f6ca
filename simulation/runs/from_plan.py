"""A coordinator's plan as settings of a simulated run, to try it before the clinics are asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermafed.server.coordinator.plan_file import read_plan
from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.shared.protocol.offer import OFFER_PARTS
from dermafed.shared.settings import keys_of
from dermafed.simulation.runs.run_settings import RunSettings


def plan_values(path: Path) -> dict[str, Any]:
    """The settings of a plan file, by name; its rules do not apply, since no simulated clinic is late.

    Args:
        path: a ``PLAN.toml`` as ``fl-server train`` takes it.

    Raises:
        StorageError: the file cannot be read.
        SettingsError: it is not a plan, or asks for what is not simulated.
    """
    plan, _ = read_plan(path)
    offer, keys = plan.offer, keys_of(RunSettings)
    parts = (offer, *(getattr(offer, name) for name in OFFER_PARTS))
    values = {name: getattr(part, name) for part in parts for name in keys_of(type(part)) if name in keys}
    values |= {"weights": plan.weights, "classes": _class_map(offer.model.classes, offer.labels)}
    if plan.clinics is not None:
        values["only"] = ",".join(plan.clinics)
    simulated = {name: value for name, value in values.items() if keys[name].key.simulated}
    settings = RunSettings(**simulated)
    for name in values.keys() - simulated.keys():
        if values[name] != (simulates := getattr(settings, name)):
            what, remedy = f"A simulation has {name} = {simulates}, not {values[name]}", "Leave it out"
            raise SettingsError(what, where=f"{path}, {name}", remedy=remedy)
    return simulated


def _class_map(classes: tuple[str, ...], labels: Mapping[str, str]) -> str:
    if classes == PAPER_CLASSES and not labels:
        return "paper"
    own = {name: [label for label, of in labels.items() if of == name] for name in classes}
    return ",".join(f"{name}={'+'.join([name, *more])}" for name, more in own.items())
