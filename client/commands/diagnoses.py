"""``fl-client diagnoses``, ``forget`` and ``quarantine``: what the clinic stores, and its removal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermafed.client.commands.options import HERE, AsJson, Folder, open_store, print_json, print_lines
from dermafed.console import stderr
from dermafed.shared.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
    from dermafed.client.clinic.store.opinions import Opinion
    from dermafed.client.clinic.store.store import Store


def diagnoses(
    folder: Folder = HERE,
    day: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="A day of the clinic's clock.  [default: today]", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the diagnoses of a day, newest first.

    **Examples**

        fl-client diagnoses

        fl-client diagnoses --day 2026-03-29 --json
    """
    with open_store(folder) as store:
        asked = (day or datetime.now()).date()
        found, damaged = store.list_day(asked), store.list_damaged(asked)
        for id in damaged:
            stderr().print(f"{id} cannot be read: the store is damaged there.", soft_wrap=True)
        if as_json:
            print_json([_as_dict(store, each) for each in found])
            return
        for each in found:
            print_lines(*_lines(store, each))
    if not found and not damaged:
        stderr().print("No diagnosis was made on this day.")


def forget(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", show_default=False)] = None,
    folder: Folder = HERE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove diagnoses and all that belongs to them, for good; without ID, list what was forgotten.

    Image, answer, opinions and training record are removed; a line stays that says when this id was
    forgotten. What a model has learnt from a training record stays in the model.

    **Examples**

        fl-client forget 0f3a1c5be0de4b0f9c3e5f0f7d3f2a11

        fl-client forget --json
    """
    with open_store(folder) as store:
        if ids:
            if sys.stdin.isatty() and not yes:
                typer.confirm(f"Remove {len(ids)} for good?", abort=True)
            store.forget(*dict.fromkeys(ids))
        forgotten = {id: time for id, time in store.list_forgotten().items() if not ids or id in ids}
    if as_json:
        print_json(forgotten)
        return
    print_lines(*(f"{id}  forgotten {time}" for id, time in forgotten.items()))


def quarantine(
    id: Annotated[str | None, typer.Argument(show_default=False)] = None,
    folder: Folder = HERE,
    release: Annotated[
        Path | None,
        typer.Option(help="Write the object to this new file, and remove it here.", show_default=False),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the object for good.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the objects that were not diagnosed because they may show a name, or decide on one.

    They are stored encrypted until a person releases or deletes them, or they expire.

    **Examples**

        fl-client quarantine

        fl-client quarantine 0f3a1c5be0de4b0f9c3e5f0f7d3f2a11 --release object.dcm
    """
    if (id is None) != (release is None and not delete) or (release is not None and delete):
        raise SettingsError(
            "An ID goes with --release or --delete",
            where="quarantine",
            remedy="Give one of the two, or nothing",
        )
    with open_store(folder) as store:
        if id is not None:
            _decide(store, id, release)
        waiting = store.list_quarantined()
    if as_json:
        print_json([asdict(each) for each in waiting])
        return
    print_lines(*(f"{each.id}  {each.time}  from {each.device}: {each.why}" for each in waiting))


def describe(diagnosis: Diagnosis, opinions: Sequence[Opinion]) -> list[str]:
    """A diagnosis on a line, and each opinion on it on another."""
    time = datetime.fromisoformat(diagnosis.time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    notes = [name for name in ("alert", "unsure", "outside") if getattr(diagnosis, name)]
    sure = f"{diagnosis.prediction} {diagnosis.probabilities[diagnosis.prediction]:.0%}"
    first = "  ".join([diagnosis.id, time, ", ".join([sure, *notes]), f"from {diagnosis.device}"])
    return [first, *(f"    {opinion.describe()}" for opinion in opinions)]


def _lines(store: Store, diagnosis: Diagnosis) -> list[str]:
    """A diagnosis and its opinions, a line each; damaged opinions do not hide their diagnosis."""
    try:
        return describe(diagnosis, store.list_opinions(diagnosis.id))
    except StorageError as error:
        return [*describe(diagnosis, ()), f"    its opinions cannot be read: {error.what}"]


def _decide(store: Store, id: str, release: Path | None) -> None:
    from dermafed.shared.storage.atomic_files import write_private

    data = store.load_quarantined(id)
    if release is not None:
        if release.exists():
            raise SettingsError("The file exists already", where=release, remedy="Choose another name")
        write_private(release, data)
    store.delete_quarantined(id)


def _as_dict(store: Store, diagnosis: Diagnosis) -> dict[str, object]:
    try:
        views, opinions = store.list_views(diagnosis.id), store.list_opinions(diagnosis.id)
    except StorageError as error:
        return {**diagnosis.to_dict(), "looks": [], "opinions": [], "damaged": error.what}
    return {
        **diagnosis.to_dict(),
        "looks": [asdict(view) for view in views],
        "opinions": [opinion.to_dict() for opinion in opinions],
    }
