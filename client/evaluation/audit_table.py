"""An audit as tables on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.client.evaluation.audit_model import Audit
from dermafed.shared.artefacts.artefacts import CHANGES
from dermafed.shared.metrics.fairness.disclosure import FEWEST_OF_CLASS
from dermafed.shared.metrics.intervals import Interval
from dermafed.shared.metrics.shortcuts.shortcut_effect import AucChange, Flips, ScoreChange

HIDDEN = "-"
NO_AUC = (HIDDEN, HIDDEN, HIDDEN)


def print_audit(audit: Audit, folder: Path) -> None:
    """Print what each artefact does to the answers and to the score, with 95 % intervals, and notes."""
    console = Console(highlight=False)
    console.print(escape(f"Model: {audit.model} ({audit.card.model.backbone}, round {audit.card.round})"))
    counted = "" if audit.lesions is None else f", {audit.lesions} lesions"
    console.print(escape(f"Data: {audit.data}{counted}"), soft_wrap=True)
    for table in (_answers(audit), _scores(audit), _ranking(audit)):
        console.print(table)
    for line in (*_left_out(audit), *audit.notes):
        console.print(f"- {escape(line)}", soft_wrap=True)
    console.print(escape(f"Audit and contact sheet: {folder}"), soft_wrap=True)
    console.print(USE)


def _answers(audit: Audit) -> Table:
    table = _table("Answers that change, of lesions", "Artefact", "Benign to melanoma", "Melanoma to benign")
    for name, effect in audit.effects.items():
        table.add_row(CHANGES[name].title, _flips(effect.to_melanoma), _flips(effect.to_benign))
    return table


def _scores(audit: Audit) -> Table:
    title = "Change of the log-odds of melanoma"
    table = _table(title, "Artefact", "Mean", "95 % interval", "5 % to 95 % of lesions")
    for name, effect in audit.effects.items():
        table.add_row(CHANGES[name].title, *_change(effect.change))
    return table


def _ranking(audit: Audit) -> Table:
    auc = next(iter(audit.effects.values())).auc
    before = "" if auc is None else f", {auc.before:.3f} without an artefact"
    table = _table(f"AUC of melanoma{before}", "Artefact", "AUC", "95 % interval", "Interval of the change")
    for name, effect in audit.effects.items():
        table.add_row(CHANGES[name].title, *_auc(effect.auc))
    return table


def _flips(flips: Flips | None) -> str:
    if flips is None:
        return HIDDEN
    low, high = flips.interval.low, flips.interval.high
    return f"{flips.flipped} of {flips.lesions}, {flips.share:.1%} ({low:.1%}–{high:.1%})"


def _change(change: ScoreChange | None) -> tuple[str, ...]:
    if change is None:
        return HIDDEN, HIDDEN, HIDDEN
    low, *_, high = change.quantiles
    return f"{change.mean:+.2f}", _range(change.interval, "+.2f"), f"{low:+.2f} to {high:+.2f}"


def _auc(auc: AucChange | None) -> tuple[str, ...]:
    if auc is None:
        return NO_AUC
    return f"{auc.after:.3f}", _range(auc.after_interval, ".3f"), _range(auc.change_interval, "+.3f")


def _range(interval: Interval | None, digits: str) -> str:
    return "-" if interval is None else f"{interval.low:{digits}} to {interval.high:{digits}}"


def _left_out(audit: Audit) -> list[str]:
    lines = []
    if audit.excluded:
        counts = ", ".join(f"{count} {label}" for label, count in audit.excluded.items())
        lines.append(f"Left out, for the model does not know their diagnosis: {counts}")
    if unreadable := audit.predictions.unreadable:
        path, reason = unreadable[0]
        lines.append(f"Skipped {len(unreadable)} images that cannot be used, the first: {path} ({reason})")
    unseen = {name: share for name, share in audit.predictions.unseen.items() if share}
    if unseen:
        shares = ", ".join(f"{CHANGES[name].title} {share:.0%}" for name, share in unseen.items())
        lines.append(f"Images where nothing of the artefact reaches the network: {shares}")
    if any(None in (effect.to_melanoma, effect.to_benign, effect.auc) for effect in audit.effects.values()):
        lines.append(f"A dash: fewer than {FEWEST_OF_CLASS} lesions, or an interval that cannot be given")
    return lines


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", box=SIMPLE, show_edge=False, pad_edge=False)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
