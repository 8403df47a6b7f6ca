"""``fl-client start``, ``status``, ``audit`` and ``models``: run the node, and show what it did."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dermafed.client.commands.options import HERE, AsJson, Folder, open_home, print_json, print_lines
from dermafed.console import stderr


def start(folder: Folder = HERE) -> None:
    """Run the clinic's node in the foreground, until Ctrl-C.

    It prints a line when it is ready, and cause and remedy while it is not connected. Logs are in DIR/node.

    **Examples**

        fl-client start

        fl-client start --dir /srv/dermafed
    """
    home = open_home(folder)
    os.environ["FLWR_HOME"] = str(home.node / "flower")  # before Flower is imported
    from dermafed.client.node.supervisor import run_node

    run_node(home, print_lines)


def status(
    folder: Folder = HERE,
    ready: Annotated[
        bool,
        typer.Option(
            "--ready", help="Print nothing; exit 1 unless it is ready for a round: for health checks."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the node's state, its work, and what it sent last.

    **Examples**

        fl-client status

        fl-client status --json
    """
    from dermafed.client.node.health import read_status
    from dermafed.client.node.home import read_settings

    home = open_home(folder)
    now = read_status(home.node)
    if ready:
        raise typer.Exit(0 if now is not None and now.ready else 1)
    state: dict[str, Any] = {
        "clinic": read_settings(home).clinic,
        "node": "has never run" if now is None else _describe(now),
        "cause": "" if now is None else now.cause,
        "since": None if now is None else now.since,
        "plans_waiting": _waiting(home.offers),
        "last_sent": _last_line(home.audit),
    }
    if as_json:
        print_json(state)
        return
    known = {name: value for name, value in state.items() if value not in ("", None, 0)}
    print_lines(*(f"{name.replace('_', ' '):14} {value}" for name, value in known.items()))


def audit(
    folder: Folder = HERE,
    run: Annotated[
        str,
        typer.Option(
            help="Replay a round of this plan: its name, or the start of its hash.", show_default=False
        ),
    ] = "",
    round: Annotated[int, typer.Option(min=0, help="The round, with --run; 0: before the first.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show every message that left, and verify that no line was changed, removed or moved.

    With `--run` and `--round`: what of the round this clinic was sent, signed and released in secure sums,
    checked again: the keys, who was with whom, the signatures, and whether the models follow from each other.

    Exits 1 if the log was changed, or something of the round does not hold.

    **Examples**

        fl-client audit

        fl-client audit --run first --round 3

        fl-client audit --json
    """
    from dermafed.client.node.audit import read_log

    if run:
        from dermafed.client.commands.replay import show_round

        show_round(open_home(folder), run, round, as_json=as_json)
        return
    lines = read_log(open_home(folder).audit)
    if as_json:
        print_json([{"time": line.time, **asdict(line.entry)} for line in lines])
        return
    for line in lines:
        entry = line.entry
        where = f"run {entry.run}" + (f" round {entry.round}" if entry.round else "")
        print_lines(f"{line.time}  {entry.bytes:>10} bytes  {entry.kind:24} {where}  {entry.sha256[:12]}")
    print_lines(f"{len(lines)} messages; the log is whole.")


def models(
    folder: Folder = HERE,
    save: Annotated[
        Path | None,
        typer.Option(help="Folder to write each as a model file (.keras) with its card.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the last global model of each run that this clinic took part in.

    **Examples**

        fl-client models

        fl-client models --save models

        fl-client evaluate our_images --model models/first-3f9a2b11.keras
    """
    from dermafed.client.node.saved_models import list_saved_models

    found = list_saved_models(open_home(folder).models)
    if save is not None:
        from dermafed.shared.model.model_file import save_model
        from dermafed.shared.storage.atomic_files import make_folder

        make_folder(save)
        for model in found:
            save_model(save / f"{model.name}.keras", model.weights(), model.card)
    if as_json:
        print_json(
            [{"name": model.name, "round": model.card.round, **model.card.to_dict()} for model in found]
        )
        return
    for model in found:
        classes = ", ".join(model.card.model.classes)
        print_lines(f"{model.name}  round {model.card.round}  {model.card.model.backbone}  {classes}")
    if not found:
        stderr().print("No global model has come yet.")


def _describe(now: Any) -> str:
    if not now.running:
        return "is not running"
    if not now.connected:
        return "runs, not connected"
    return "runs, connected" if now.worker_ready else "runs, connected, the worker is loading"


def _waiting(offers: Path) -> int:
    from dermafed.client.node.offers import Offers

    return sum(not known.by for known in Offers(offers).load_all().values())


def _last_line(path: Path) -> str | None:
    from dermafed.client.node.audit import read_log

    lines = read_log(path)
    return f"{lines[-1].entry.kind}, {lines[-1].time}" if lines else None
