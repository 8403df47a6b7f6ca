"""Count the served model's answers by month, for the clinic's node to tell if the clinic allows it."""

from __future__ import annotations

import json
from datetime import date
from itertools import pairwise

import numpy as np

from dermafed.client.clinic.store.store import Store
from dermafed.client.node.home import Home
from dermafed.shared.counts.alert_drift import expected_alerts
from dermafed.shared.counts.monthly_counts import KINDS, MONTHS, MonthlyCounts, first_day, last_month
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.storage.atomic_files import write_private


def count_months(store: Store, model: str, calibration: Calibration | None, today: date) -> MonthlyCounts:
    """The clinic's own counts of the complete months before a day.

    Args:
        store: of the diagnoses.
        model: SHA-256 of the weights in use; others' answers do not count.
        calibration: of the model.
        today: the day, by the clinic's own clock.
    """
    last = last_month(today)
    days = [first_day(last - MONTHS + 1 + month) for month in range(MONTHS + 1)]
    rows = [store.count_answers(start, end, model) for start, end in pairwise(days)]
    counts = np.array([[row[kind] for kind in KINDS] for row in rows], np.int64)
    rule = None if calibration is None else calibration.alert
    return MonthlyCounts(last, counts, counts.sum(axis=0), None if rule is None else expected_alerts(rule))


def save_months(home: Home, counts: MonthlyCounts) -> None:
    """Write them to the clinic's folder, for its owner only."""
    write_private(home.monthly, json.dumps(counts.to_dict(), indent=2).encode())
