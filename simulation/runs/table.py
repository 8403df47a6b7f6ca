"""The result as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from dermafed.simulation.runs.results import FIGURES, summary_rows


def print_result(result: Mapping[str, Any]) -> None:
    """Prints which model does how well on whose test images, and where the report is."""
    table = Table(title="Test images that no model was trained or chosen on")
    for heading in ("Test images of", "Model", "Balanced accuracy", "Accuracy", "AUC"):
        table.add_column(heading, justify="left" if heading in ("Test images of", "Model") else "right")
    before = ""
    for clinic, model, figures in summary_rows(result):
        if before and clinic != before:
            table.add_section()
        shown = [_figure(figures[name]) for name in FIGURES]
        table.add_row(clinic if clinic != before else "", model, *shown)
        before = clinic
    console = Console()
    console.print(table)
    console.print(f"{result['seconds']:.0f} s. Report: {result['report']}", soft_wrap=True, highlight=False)
    console.print("Research use only; not a medical device.")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
