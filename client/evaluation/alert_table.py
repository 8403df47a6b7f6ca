"""An alert for melanoma as a table and sentences on the terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.table import Table

from dermafed.shared.metrics.decision.operating_point import Estimate, OperatingPoint


def alert_table(point: OperatingPoint) -> Table:
    """The operating point, each figure with its interval and the number of lesions that it rests on."""
    title = f"\nAlert for melanoma, at a probability of {point.threshold:.3g} or more"
    table = Table(title=title, title_justify="left", box=SIMPLE, show_edge=False, pad_edge=False)
    for heading in ("Metric", "Value", "95 % interval", point.alerts.unit.capitalize()):
        table.add_column(heading, justify="left" if heading == "Metric" else "right")
    rows = {
        "Sensitivity": point.sensitivity,
        "Missed melanomas": point.miss_rate,
        "Specificity": point.specificity,
        "Positive predictive value": point.ppv,
        "Negative predictive value": point.npv,
        "Number needed to biopsy": point.needed_to_biopsy,
        "Net benefit": point.net_benefit,
    }
    for name, estimate in rows.items():
        table.add_row(name, *_cells(estimate))
    return table


def alert_notes(point: OperatingPoint) -> list[str]:
    """What the figures of the table hold for."""
    odds = round(1 / point.threshold_probability - 1, 2)
    return [
        f"Predictive values, number needed to biopsy and net benefit are at a prevalence of melanoma of "
        f"{point.prevalence:.1%}; other lesions are as those evaluated",
        f"Net benefit: a melanoma found is worth {odds:g} biopsies of other lesions. "
        f"A biopsy of every lesion: {point.net_benefit_of_all:.3f}; of none: 0",
    ]


def _cells(estimate: Estimate) -> tuple[str, str, str]:
    value = "-" if estimate.value is None else f"{estimate.value:.3f}"
    interval = estimate.interval
    return value, "-" if interval is None else f"{interval.low:.3f}–{interval.high:.3f}", str(estimate.n)
