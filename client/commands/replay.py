"""What ``fl-client audit --run RUN --round N`` shows: a round's transcript, replayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from dermafed.client.commands.options import print_json, print_lines

if TYPE_CHECKING:
    from dermafed.client.node.audit import Line
    from dermafed.client.node.home import Home
    from dermafed.client.node.sum_replay import Check, Replayed
    from dermafed.client.node.sum_transcript import Taken


def show_round(home: Home, plan: str, round: int, *, as_json: bool) -> None:
    """Print a round of a plan.

    Raises:
        SettingsError: there is no such plan, or several.
        FederationError: the audit log was changed.
        typer.Exit: something that was checked does not hold.
    """
    from dermafed.client.node.audit import read_log
    from dermafed.client.node.clinic_data import OfferFolder
    from dermafed.client.node.home import read_settings
    from dermafed.client.node.offers import Offers
    from dermafed.client.node.sum_replay import Replay
    from dermafed.client.node.sum_transcript import SumTranscripts

    hash, stored = Offers(home.offers).find_plan(plan)
    name = read_settings(home).clinic
    left = [
        line
        for line in read_log(home.audit)
        if line.entry.run in stored.runs and (line.entry.round or "0") == str(round)
    ]
    replay = Replay(stored, name, SumTranscripts(OfferFolder(home.offers / hash, name).transcripts))
    sums, models = replay.round(round), replay.models(round)
    checks = [*(check for one in sums for check in one.checks), *models]
    if as_json:
        head = {"plan": hash, "name": stored.offer.name, "round": round}
        print_json(head | _as_dict(left, sums, models))
    else:
        print_lines(f"{stored.offer.name}, round {round} of {stored.offer.rounds}", *_messages(left))
        print_lines(*_sums(sums), *(["models", *map(_said, models)] if models else ()))
        if not stored.offer.privacy.is_secure:
            print_lines("The plan has no secure sums: the server read each of these messages.")
        print_lines(f"{len(left)} messages left; {len(checks)} checks; the log is whole.")
    if any(check.fault for check in checks):
        raise typer.Exit(1)


def _messages(left: Sequence[Line]) -> Iterator[str]:
    for line in left:
        entry = line.entry
        yield f"    {line.time}  {entry.bytes:>10} bytes  {entry.kind:24} {entry.sha256[:12]}"


def _sums(sums: Sequence[Replayed]) -> Iterator[str]:
    for one in sums:
        over = f": over {', '.join(one.clinics)}" if one.clinics else ": this clinic signed no list"
        yield f"secure sum '{one.label}', attempt {one.attempt}{over}"
        yield from map(_step, one.steps)
        yield from map(_said, one.checks)


def _step(taken: Taken) -> str:
    sent = f"sent {taken.sent.size} bytes" if taken.sent.size else "sent nothing"
    return f"    {taken.time}  {taken.kind:24} got {taken.received.size} bytes, {sent}"


def _said(check: Check) -> str:
    return f"    FAILS  {check.what}: {check.fault}" if check.fault else f"    holds  {check.what}"


def _as_dict(left: Sequence[Line], sums: Sequence[Replayed], models: Sequence[Check]) -> dict[str, Any]:
    return {
        "messages": [{"time": line.time, **asdict(line.entry)} for line in left],
        "sums": [asdict(one) for one in sums],
        "models": [asdict(check) for check in models],
    }
