"""A model's trust as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.out_of_distribution import FEWEST_IMAGES, SEEN
from dermafed.shared.metrics.calibration.reliability import ECE_BINS, ConfidenceBins
from dermafed.shared.metrics.calibration.temperature import TEMPERATURES
from dermafed.shared.metrics.intervals import wilson


def print_calibration(
    name: str, calibration: Calibration, notes: Sequence[str], files: Sequence[str]
) -> None:
    """Prints the figures before and after with their 95 % intervals, the rules, and what to know of them."""
    console = Console(highlight=False)
    clinics = f"{calibration.clinics} clinic{'' if calibration.clinics == 1 else 's'}"
    console.print(escape(f"Model: {name}; {calibration.sums.images} validation images of {clinics}"))
    console.print(f"Temperature: {calibration.sums.temperature:.3f}")
    console.print(_calibration(calibration))
    for line in (*_rules(calibration), *_warnings(calibration), *notes):
        console.print(f"- {escape(line)}", soft_wrap=True)
    for file in files:
        console.print(escape(f"Written: {file}"), soft_wrap=True)
    console.print("Research use only; not a medical device.")


def _calibration(calibration: Calibration) -> Table:
    sums = calibration.sums
    table = Table(box=SIMPLE, show_edge=False, pad_edge=False)
    for heading in ("Figure", "Before", "After"):
        table.add_column(heading, justify="left" if heading == "Figure" else "right")
    table.add_row(f"Expected calibration error, {ECE_BINS} bins", *map(_error, (sums.before, sums.after)))
    table.add_row("Log loss, nats", f"{sums.loss_before:.3f}", f"{sums.loss_after:.3f}")
    table.add_row("Accuracy", *map(_accuracy, (sums.before, sums.after)))
    return table


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
            f"Outside: beyond {calibration.out_of_distribution.threshold:.3f}, "
            f"as {1 - SEEN:.0%} of the validation images are"
        )
    return lines


def _warnings(calibration: Calibration) -> list[str]:
    lines = []
    if calibration.out_of_distribution is None:
        lines.append(
            f"No rule for what lies outside: it needs {FEWEST_IMAGES} training and validation images each"
        )
    if not TEMPERATURES[0] < calibration.sums.temperature < TEMPERATURES[-1]:
        lines.append("The temperature is at the end of its range: the images are too few, or not the model's")
    lines.append("The figures are of the images that the rules were fitted to: on others they are worse")
    return lines
