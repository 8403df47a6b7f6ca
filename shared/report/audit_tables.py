"""An audit for shortcuts as tables of text, a column for each clinic: for report, card and terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dermafed.shared.artefacts.names import CHANGE_TITLES
from dermafed.shared.metrics.evaluation import FEWEST_OF_A_CLASS
from dermafed.shared.report.sentences import number

ALL = "all clinics"
HIDDEN = "–"
DASH = f"A dash: fewer than {FEWEST_OF_A_CLASS} lesions, or none of one side."
HOW = (
    "Ink, hair and other artefacts were drawn on each clinic's test images; only counts and sums left it. An "
    "answer is the most probable class; that of a lesion is melanoma where that of one of its images is. "
    "With the lesion erased, an AUC near 0.5 is what to hope for. Drawn artefacts differ from real ones."
)


@dataclass(frozen=True, slots=True)
class AuditTable:
    """One figure of an audit.

    Attributes:
        title: what it is.
        columns: ``all clinics``, and the clinics' names.
        rows: the artefacts, each with its cells.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def audit_tables(audit: Mapping[str, Any]) -> list[AuditTable]:
    """The tables of an audit; none if no clinic answered.

    Args:
        audit: of :func:`dermafed.server.rounds.run_audit.load_run_audit`.
    """
    if audit["all"] is None:
        return []
    audits = {ALL: audit["all"], **audit["clinics"]}
    return [_table(title, audits, cell) for title, cell in _FIGURES.items()]


def counted(audit: Mapping[str, Any]) -> str:
    """How many lesions of how many clinics, as a sentence, and which clinics are missing."""
    lesions = 0 if audit["all"] is None else audit["all"]["lesions"]
    absent = f" Without an answer: {', '.join(audit['left_out'])}." if audit["left_out"] else ""
    return f"{lesions} test lesions of {len(audit['clinics'])} clinics.{absent}"


def _table(title: str, audits: Mapping[str, Any], cell: Callable[[Mapping[str, Any]], str]) -> AuditTable:
    rows = [
        (_title(name), tuple(cell(own["effects"][name]) for own in audits.values()))
        for name in audits[ALL]["effects"]
    ]
    if cell is _auc:
        before = tuple(HIDDEN if own["auc"] is None else number(own["auc"]) for own in audits.values())
        rows = [("None", before), *rows]
    return AuditTable(title, tuple(audits), tuple(rows))


def _title(name: str) -> str:
    return CHANGE_TITLES.get(name, name)


def _flips(direction: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(effect: Mapping[str, Any]) -> str:
        flips = effect[direction]
        if flips is None:
            return HIDDEN
        low, high = flips["interval"]["low"], flips["interval"]["high"]
        share = flips["flipped"] / flips["lesions"]
        return f"{flips['flipped']} of {flips['lesions']}: {share:.1%} ({low:.1%}–{high:.1%})"

    return cell


def _change(effect: Mapping[str, Any]) -> str:
    change = effect["change"]
    return HIDDEN if change is None else f"{change['mean']:+.2f}{_range(change['interval'], '+.2f')}"


def _auc(effect: Mapping[str, Any]) -> str:
    auc = effect["auc"]
    return HIDDEN if auc is None else f"{number(auc['after'])}{_range(auc['after_interval'], '.3f')}"


def _range(interval: Mapping[str, Any] | None, digits: str) -> str:
    return "" if interval is None else f" ({interval['low']:{digits}} to {interval['high']:{digits}})"


_FIGURES = {
    "Lesions answered benign that become melanoma": _flips("to_melanoma"),
    "Lesions answered melanoma that become benign": _flips("to_benign"),
    "Mean change of the log-odds of melanoma": _change,
    "AUC of melanoma": _auc,
}
