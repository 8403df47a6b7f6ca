"""``fl-client review``: decide which diagnoses become training data."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dermafed.client.commands.diagnoses import describe
from dermafed.client.commands.options import HERE, AsJson, Folder, open_store, plain, print_json, print_lines
from dermafed.console import stderr
from dermafed.shared.errors import SettingsError

if TYPE_CHECKING:
    from dermafed.client.clinic.store.review import PendingReview
    from dermafed.client.clinic.store.store import Store


def review(
    id: Annotated[str | None, typer.Argument(show_default=False)] = None,
    folder: Folder = HERE,
    accept: Annotated[
        bool, typer.Option("--accept", help="Make it a labelled record of the clinic's data.")
    ] = False,
    label: Annotated[
        str | None,
        typer.Option(help="Its class.  [default: the clinicians' class, if they agree]", show_default=False),
    ] = None,
    reject: Annotated[
        bool, typer.Option("--reject", help="Leave it out of the data, or take it out again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show disagreements and confirmed diagnoses, or decide on one.

    An accepted one is written, decrypted, to DIR/reviewed with its label; the next run that this clinic joins
    trains with it.

    **Examples**

        fl-client review

        fl-client review 0f3a1c5be0de4b0f9c3e5f0f7d3f2a11 --accept --label melanoma
    """
    if (id is None) != (not accept and not reject) or (accept and reject) or (label and not accept):
        raise SettingsError(
            "An ID goes with --accept or --reject, and --label with --accept",
            where="review",
            remedy="Give one of the two, or nothing to list what waits for review",
        )
    with open_store(folder) as store:
        if id is not None:
            _decide(store, id, accept, label)
        waiting = store.list_pending()
    if as_json:
        print_json([_as_dict(each) for each in waiting])
        return
    if id is None:
        _print(waiting)


def _decide(store: Store, id: str, accept: bool, label: str | None) -> None:
    out = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if accept:
        row = store.accept(id, _reviewer(), label)
        out.print(plain(f"Accepted as {row.diagnosis}."))
    else:
        store.reject(id, _reviewer())
        out.print("Rejected.")


def _reviewer() -> str:
    """Whoever is at this machine; in a container, users may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _print(waiting: list[PendingReview]) -> None:
    for each in waiting:
        label = each.label or "a --label that you choose: clinicians do not agree on a class"
        todo = f"to accept as {label}"
        if not each.needs_review:
            todo = f"accepted as {each.accepted}, which nobody says any more: --reject takes it out again"
        print_lines(*describe(each.diagnosis, each.opinions), f"    {todo}")
    if not waiting:
        stderr().print("Nothing waits for review.")


def _as_dict(waiting: PendingReview) -> dict[str, object]:
    diagnosis = waiting.diagnosis
    return {
        "id": diagnosis.id,
        "time": diagnosis.time,
        "prediction": diagnosis.prediction,
        "label": waiting.label,
        "confirmed_by": waiting.confirmed_by,
        **({} if waiting.needs_review else {"accepted": waiting.accepted}),
        "opinions": [opinion.to_dict() for opinion in waiting.opinions],
    }
