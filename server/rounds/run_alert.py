"""What a run's ``calibration.json`` says of one threshold for all clinics; read without loading Flower."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CALIBRATION_FILE = "calibration.json"


def load_alert(folder: Path) -> dict[str, Any] | None:
    """The operating point and promise; ``None`` where they were not measured, or cannot be read.

    Args:
        folder: of the run.
    """
    try:
        found = json.loads((folder / CALIBRATION_FILE).read_text("utf-8"))["trust"]["figures"]["alert_of_all"]
        alert_line(found)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return dict(found)


def alert_line(alert: dict[str, Any]) -> str:
    """The same in a line."""
    point, promised = alert["point"], alert["promise"]["sentence"]
    if point is None:
        return f"Alert for melanoma: {promised}"
    counts, shares = point["alerts"], []
    for name in ("sensitivity", "specificity"):
        value, interval = point[name]["value"], point[name]["interval"]
        shares.append(f"{name} {value:.3f} ({interval['low']:.3f}–{interval['high']:.3f})")
    return (
        f"One threshold for all clinics, {point['threshold']:.3f}: {', '.join(shares)}, of "
        f"{counts['melanomas']} melanomas and {counts['others']} other validation lesions. {promised}"
    )
