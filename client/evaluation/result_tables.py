"""Evaluations and calibrations as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dermafed.client.clinic.diagnosis.diagnosis import USE
from dermafed.client.evaluation.alert_table import alert_notes, alert_table
from dermafed.client.evaluation.evaluate import Evaluation
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.out_of_distribution import FEWEST_IMAGES, WITHIN_THRESHOLD
from dermafed.shared.metrics.calibration.reliability import ECE_BINS, ConfidenceBins
from dermafed.shared.metrics.calibration.temperature import TEMPERATURES
from dermafed.shared.metrics.classification import ClassificationMetrics
from dermafed.shared.metrics.intervals import Interval, wilson


def print_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Print the model and the data, the metrics with their 95 % intervals, and what was left out."""
    console, metrics = Console(highlight=False), evaluation.metrics
    for line in _heading(evaluation):
        console.print(escape(line), soft_wrap=True)
    for table in (_overall(metrics), _per_class(metrics), _confusion(metrics)):
        console.print(table)
    alert, notes = evaluation.alert, evaluation.notes
    if alert is not None:
        console.print(alert_table(alert.point))
        notes = (*alert_notes(alert.point), f"Alert: {alert.note}", *notes)
    for line in (*_left_out(evaluation), *notes):
        console.print(f"- {escape(line)}", soft_wrap=True)
    console.print(escape(f"Predictions and metrics: {folder}"), soft_wrap=True)
    console.print(USE)


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
        f"Data: {evaluation.data}, {evaluation.metrics.images} images evaluated",
    ]


def _overall(metrics: ClassificationMetrics) -> Table:
    table = _table("All classes", "Metric", "Value", "95 % interval")
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
        table.add_row(name, _number(value), _range(interval))
    return table


def _per_class(metrics: ClassificationMetrics) -> Table:
    table = _table(
        "Each class, recall with its 95 % interval", "Class", "Images", "Recall", "Precision", "F1", "AUC"
    )
    for name, own in metrics.per_class.items():
        numbers = (_number(own.precision), _number(own.f1), _number(own.auc))
        recall = f"{_number(own.recall)} ({_range(metrics.intervals.recall[name])})"
        table.add_row(escape(name), str(own.support), recall, *numbers)
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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _range(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.low:.3f}–{interval.high:.3f}"


def print_calibration(
    name: str, calibration: Calibration, notes: Sequence[str], files: Sequence[str]
) -> None:
    """Print the metrics before and after with their 95 % intervals, the rules, and notes."""
    console = Console(highlight=False)
    clinics = f"{calibration.clinics} clinic{'' if calibration.clinics == 1 else 's'}"
    console.print(escape(f"Model: {name}; {calibration.sums.images} validation images of {clinics}"))
    console.print(f"Temperature: {calibration.sums.temperature:.3f}")
    for line in _offsets(calibration):
        console.print(escape(line))
    console.print(_calibration(calibration))
    if calibration.alert is not None:
        console.print(alert_table(calibration.alert.point))
    for line in (*_rules(calibration), *_alert(calibration), *_warnings(calibration), *notes):
        console.print(f"- {escape(line)}", soft_wrap=True)
    for file in files:
        console.print(escape(f"Written: {file}"), soft_wrap=True)
    console.print(USE)


def _calibration(calibration: Calibration) -> Table:
    sums = calibration.sums
    table = Table(box=SIMPLE, show_edge=False, pad_edge=False)
    for heading in ("Metric", "Before", "After"):
        table.add_column(heading, justify="left" if heading == "Metric" else "right")
    table.add_row(f"Expected calibration error, {ECE_BINS} bins", *map(_error, (sums.before, sums.after)))
    table.add_row("Log loss, nats", f"{sums.loss_before:.3f}", f"{sums.loss_after:.3f}")
    table.add_row("Accuracy", *map(_accuracy, (sums.before, sums.after)))
    return table


def _offsets(calibration: Calibration) -> list[str]:
    """The offsets in use, and of which classes there are too few images here."""
    point = calibration.point
    if point is None:
        return []
    named = ", ".join(
        f"{name} {offset:+.2f}" for name, offset in zip(calibration.classes, point.offsets, strict=True)
    )
    lines = [f"Offsets of the classes, in nats: {named}"]
    few = [] if calibration.own is None else calibration.own.few
    rare = [name for name, is_rare in zip(calibration.classes, few, strict=False) if is_rare]
    if rare:
        lines.append(f"Mostly the federation's, since there are few images here: {', '.join(rare)}")
    return lines


def _error(bins: ConfidenceBins) -> str:
    interval = bins.error_interval()
    return f"{bins.error:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def _accuracy(bins: ConfidenceBins) -> str:
    right, images = int(bins.correct.sum()), int(bins.images.sum())
    interval = wilson(right, images)
    assert interval is not None
    return f"{right / images:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def _rules(calibration: Calibration) -> list[str]:
    rule, wrong = calibration.selection, 1 - calibration.sums.after.correct.sum() / calibration.sums.images
    found = [
        f"{name} {share:.0%} of {sure}"
        for name, share, sure in zip(calibration.classes, rule.found, rule.sure, strict=True)
        if share is not None
    ]
    lines = [
        f"Unsure: top probability below {rule.threshold:.3f}. Of the validation images {rule.coverage:.0%} "
        f"are sure, and {rule.risk:.1%} of these answers are wrong ({wrong:.1%} of all)",
        f"Found among the sure: {', '.join(found)}",
    ]
    if calibration.out_of_distribution is not None:
        lines.append(
            f"Out of distribution: beyond {calibration.out_of_distribution.threshold:.3f}, "
            f"as {1 - WITHIN_THRESHOLD:.0%} of the validation images are"
        )
    return lines


def _alert(calibration: Calibration) -> list[str]:
    rule = calibration.alert
    if rule is None:
        return ["No alert for melanoma: it needs validation images of melanoma and of other lesions"]
    return [*alert_notes(rule.point), *filter(None, [rule.note]), rule.promise.sentence]


def _warnings(calibration: Calibration) -> list[str]:
    lines = []
    if calibration.out_of_distribution is None:
        lines.append(
            f"No out-of-distribution rule: it needs {FEWEST_IMAGES} training and validation images each"
        )
    if not TEMPERATURES[0] < calibration.sums.temperature < TEMPERATURES[-1]:
        lines.append("The temperature is at the end of its range: the images are too few, or not the model's")
    lines.append("The metrics are of the images that the rules were fitted to: on others they are worse")
    return lines
