"""An evaluation as tables on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dermafed.client.evaluation.evaluate import Evaluation
from dermafed.shared.metrics.classification import ClassificationMetrics
from dermafed.shared.metrics.intervals import Interval


def print_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Prints what was judged, the figures with their 95 % intervals, and what was left out."""
    console, metrics = Console(highlight=False), evaluation.metrics
    for line in _heading(evaluation):
        console.print(escape(line), soft_wrap=True)
    for table in (_overall(metrics), _per_class(metrics), _confusion(metrics)):
        console.print(table)
    for line in (*_left_out(evaluation), *evaluation.notes):
        console.print(f"- {escape(line)}", soft_wrap=True)
    console.print(escape(f"Predictions and metrics: {folder}"), soft_wrap=True)
    console.print("Research use only; not a medical device.")


def _heading(evaluation: Evaluation) -> list[str]:
    card = evaluation.card
    clinics = card.data.get("clinics", {})
    # A simulation knows each clinic's counts, a server only those of all together.
    together = [card.data.get("training_images", {})]
    images = sum(sum(each.values()) for each in (clinics.values() if isinstance(clinics, dict) else together))
    plural = "" if len(clinics) == 1 else "s"
    source = f", from {images} images of {len(clinics)} clinic{plural}" if clinics else ""
    return [
        f"Model: {evaluation.model} ({card.model.backbone}, round {card.round}{source})",
        f"First weights: {card.origin}",
        f"Data: {evaluation.data}, {evaluation.metrics.images} images judged",
    ]


def _overall(metrics: ClassificationMetrics) -> Table:
    table = _table("All classes", "Figure", "Value", "95 % interval")
    intervals = metrics.intervals
    rows = {
        "Balanced accuracy": (metrics.balanced_accuracy, intervals.balanced_accuracy),
        "Accuracy": (metrics.accuracy, intervals.accuracy),
        "AUC, mean": (metrics.auc, intervals.auc),
        "F1, mean": (metrics.f1, intervals.f1),
        "Precision, mean": (metrics.precision, None),
        "Log loss, nats": (metrics.log_loss, None),
    }
    for name, (value, interval) in rows.items():
        table.add_row(name, _figure(value), _range(interval))
    return table


def _per_class(metrics: ClassificationMetrics) -> Table:
    table = _table(
        "Each class, recall with its 95 % interval", "Class", "Images", "Recall", "Precision", "F1", "AUC"
    )
    for name, own in metrics.per_class.items():
        figures = (_figure(own.precision), _figure(own.f1), _figure(own.auc))
        recall = f"{_figure(own.recall)} ({_range(metrics.intervals.recall[name])})"
        table.add_row(escape(name), str(own.support), recall, *figures)
    return table


def _confusion(metrics: ClassificationMetrics) -> Table:
    table = _table("Confusion matrix", "Truth \\ prediction", *map(escape, metrics.classes))
    for name, row in zip(metrics.classes, metrics.confusion, strict=True):
        table.add_row(escape(name), *map(str, row))
    return table


def _left_out(evaluation: Evaluation) -> list[str]:
    lines = []
    if evaluation.excluded:
        counts = ", ".join(f"{count} {label}" for label, count in evaluation.excluded.items())
        lines.append(f"Left out, for the model does not know their diagnosis: {counts}")
    if evaluation.unreadable:
        path, reason = evaluation.unreadable[0]
        lines.append(f"Skipped {len(evaluation.unreadable)} unreadable images, the first: {path} ({reason})")
    if evaluation.metrics.absent:
        lines.append(f"No image of: {', '.join(evaluation.metrics.absent)}; means are over the other classes")
    return lines


def _table(title: str, first: str, *others: str) -> Table:
    # Narrow enough for the three classes in a terminal of 80 columns.
    table = Table(title=f"\n{title}", title_justify="left", box=SIMPLE, show_edge=False, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _range(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.low:.3f}–{interval.high:.3f}"
