"""``fl-client counts``: what the coordinator's queries of counts are answered with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dermafed.client.commands.options import HERE, AsJson, Folder, open_home, print_json, print_lines
from dermafed.shared.errors import DermaFedError

if TYPE_CHECKING:
    from dermafed.client.node.clinic_counts import ClinicCounts, Sent
    from dermafed.shared.counts.lesion_counts import LesionCounts
    from dermafed.shared.counts.monthly_counts import MonthlyCounts

_QUERIES = {
    "lesions": "how many lesions there are, by diagnosis, age, sex, site and skin type",
    "drift": "how many answers, alerts and disagreements there were in each month",
}


def counts(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Show the counts that this clinic would tell the coordinator, and whether it does.

    Allow each query by itself in the table [counts] of clinic.toml; both are off by default. Counts are
    rounded down to multiples of five; few are fewer than five, or of fewer than five patients. This command
    sends nothing.

    **Examples**

        fl-client counts

        fl-client counts --json
    """
    from dermafed.client.node.clinic_counts import ClinicCounts
    from dermafed.client.node.home import read_settings

    home = open_home(folder)
    known, settings = ClinicCounts(home), read_settings(home).counts
    told = {"lesions": settings.lesions, "drift": settings.drift}
    found = {name: _found(known, name) for name in _QUERIES}
    sent = {"lesions": known.sent_lesions(), "drift": known.sent_drift()}
    if as_json:
        print_json(
            {
                name: {
                    "allowed": told[name],
                    "would_send": None if isinstance(found[name], str) else found[name].to_dict(),
                    "why_not": found[name] if isinstance(found[name], str) else None,
                    "sent": _when(sent[name]),
                }
                for name in _QUERIES
            }
        )
        return
    for name, what in _QUERIES.items():
        allowed = "answered" if told[name] else f"not answered; to allow it: {name} = true in [counts]"
        print_lines(
            f"{name}: {what}: {allowed}", *(f"    {line}" for line in _lines(found[name], sent[name]))
        )


def _found(known: ClinicCounts, name: str) -> Any:
    """What would be sent, or why nothing would."""
    find: Callable[[], LesionCounts | MonthlyCounts] = known.lesions if name == "lesions" else known.drift
    try:
        return find()
    except DermaFedError as error:
        return str(error)


def _when(sent: Sent | None) -> str | None:
    return None if sent is None else sent.when.isoformat(timespec="seconds")


def _lines(found: Any, sent: Sent | None) -> Iterator[str]:
    if sent is not None:
        yield f"last counted for the coordinator: {_moment(sent.when)} UTC; repeated as it is for a while"
    if isinstance(found, str):
        yield f"nothing can be sent: {found}"
    else:
        yield "would send:"
        yield from (f"    {line}" for line in _told(found))


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def _told(found: LesionCounts | MonthlyCounts) -> Iterator[str]:
    from dermafed.shared.counts.lesion_counts import LesionCounts
    from dermafed.shared.counts.rounding import text

    if isinstance(found, LesionCounts):
        yield f"lesions {text(found.lesions)}, of patients {text(found.patients)}"
        for name, cells in found.to_dict()["tables"].items():
            shown = [f"{cell} {_text(count)}" for cell, count in cells.items() if count != 0]
            yield f"by {name.replace('_', ' ')}: {', '.join(shown)}; of all others few"
        return
    values = found.to_dict()
    for name, row in {**values["months"], "all twelve months": values["totals"]}.items():
        yield f"{name}: {', '.join(f'{kind} {_text(count)}' for kind, count in row.items())}"
    if found.expected is not None:
        low, high = found.expected.low, found.expected.high
        yield f"share of alerts that the calibration lets expect: {low:.3f} to {high:.3f}"


def _text(count: int | None) -> str:
    from dermafed.shared.counts.rounding import HIDDEN, text

    return text(HIDDEN if count is None else count)
