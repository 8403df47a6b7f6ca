"""``fl-client diagnoses``, ``forget`` and ``quarantine``: what the clinic stores, and its removal."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dermafed.client.commands.options import HERE, AsJson, Folder, plain, print_json
from dermafed.shared.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
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
    from dermafed.client.clinic.store.store import open_store
    from dermafed.client.node.home import open_home

    with open_store(open_home(folder)) as store:
        asked = (day or datetime.now()).date()
        found, damaged = store.list_day(asked), store.list_damaged(asked)
        for id in damaged:
            Console(stderr=True).print(f"{id} cannot be read: the store is damaged there.", soft_wrap=True)
        if as_json:
            print_json([_as_dict(store, each) for each in found])
            return
        out = Console(highlight=False, markup=False, soft_wrap=True)
        for each in found:
            out.print(plain(describe(each)))
            for line in _opinions(store, each.id):
                out.print(plain(f"    {line}"))
    if not found and not damaged:
        Console(stderr=True).print("No diagnosis was made on this day.")


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
    from dermafed.client.clinic.store.store import open_store
    from dermafed.client.node.home import open_home

    with open_store(open_home(folder)) as store:
        if ids:
            if sys.stdin.isatty() and not yes:
                typer.confirm(f"Remove {len(ids)} for good?", abort=True)
            store.forget(*dict.fromkeys(ids))
        forgotten = {id: time for id, time in store.list_forgotten().items() if not ids or id in ids}
    if as_json:
        print_json(forgotten)
        return
    out = Console(highlight=False, markup=False, soft_wrap=True)
    for id, time in forgotten.items():
        out.print(f"{id}  forgotten {time}")


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
    from dermafed.client.clinic.store.store import open_store
    from dermafed.client.node.home import open_home

    if (id is None) != (release is None and not delete) or (release is not None and delete):
        raise SettingsError(
            "An ID goes with --release or --delete",
            where="quarantine",
            remedy="Give one of the two, or nothing",
        )
    with open_store(open_home(folder)) as store:
        if id is not None:
            _decide(store, id, release)
        waiting = store.list_quarantined()
    if as_json:
        print_json([asdict(each) for each in waiting])
        return
    out = Console(highlight=False, markup=False, soft_wrap=True)
    for each in waiting:
        out.print(plain(f"{each.id}  {each.time}  from {each.device}: {each.why}"))


def describe(diagnosis: Diagnosis) -> str:
    """A diagnosis on a line."""
    time = datetime.fromisoformat(diagnosis.time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    notes = [name for name in ("unsure", "outside") if getattr(diagnosis, name)]
    sure = f"{diagnosis.prediction} {diagnosis.probabilities[diagnosis.prediction]:.0%}"
    return "  ".join([diagnosis.id, time, ", ".join([sure, *notes]), f"from {diagnosis.device}"])


def _opinions(store: Store, id: str) -> list[str]:
    """The opinions on a diagnosis, a line each; damaged ones do not hide the others' diagnoses."""
    try:
        return [opinion.describe() for opinion in store.list_opinions(id)]
    except StorageError as error:
        return [f"its opinions cannot be read: {error.what}"]


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
        "opinions": [asdict(opinion) for opinion in opinions],
    }
