"""The worklist of a day as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis
from dermafed.client.clinic.http.worklist import Row

_FORMULA = tuple("=+-@\t\r")  # begins what a spreadsheet would run
_HIDDEN = "your impression first"


def worklist_csv(rows: Sequence[Row]) -> str:
    """The rows in their order, with a heading; a hidden answer is left out.

    Text of people stays text: what a spreadsheet would take for a formula begins with an apostrophe.
    """
    classes = sorted({name for row in rows for name in row.diagnosis.probabilities})
    records = [_record(row, classes) for row in rows]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(_record_names(classes)))
    writer.writeheader()
    writer.writerows({name: _as_text(value) for name, value in each.items()} for each in records)
    return file.getvalue()


def _record_names(classes: Sequence[str]) -> tuple[str, ...]:
    return (
        "id", "time", "sender", "uploaded", "lesion", "age", "sex", "site", "model", "round", "weights",
        "answer", *(f"probability_{name}" for name in classes), "alert", "alert_threshold", "unsure",
        "out_of_distribution", "no_lesion_found", "cautions", "opinions", "intended_use",
    )  # fmt: skip


def _record(row: Row, classes: Sequence[str]) -> dict[str, object]:
    made = row.diagnosis
    known = {
        "id": made.id, "time": made.time, "sender": made.device, "uploaded": made.uploaded,
        "lesion": row.lesion, "age": made.clinical.age, "sex": made.clinical.sex, "site": made.clinical.site,
        "model": made.model.name, "round": made.model.round, "weights": made.model.sha256,
        "cautions": "; ".join(each.code for each in made.cautions), "intended_use": USE,
    }  # fmt: skip
    return {**known, **({"answer": _HIDDEN} if row.hidden else _answer(made, classes, row))}


def _answer(made: Diagnosis, classes: Sequence[str], row: Row) -> dict[str, object]:
    return {
        "answer": made.prediction,
        **{f"probability_{name}": made.probabilities.get(name) for name in classes},
        "alert": made.alert,
        "alert_threshold": made.alert_threshold,
        "unsure": made.unsure,
        "out_of_distribution": made.outside,
        "no_lesion_found": made.no_lesion,
        "opinions": "; ".join(each.describe() for each in row.opinions),
    }


def _as_text(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
