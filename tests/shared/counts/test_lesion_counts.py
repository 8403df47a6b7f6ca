"""What a clinic tells of its lesions: by hand, in messages and files, and one patient's part of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.counts.lesion_counts import TABLES, LesionCounts
from dermafed.shared.counts.rounding import HIDDEN
from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.protocol.count_messages import decode_lesion_counts, encode_lesion_counts
from tests.shared.counts.sample_lesions import lesions, sample_counts, sample_records


def cells(counts: LesionCounts, table: str) -> dict[str, int | None]:
    """The cells of which more than few are told."""
    return {name: count for name, count in counts.to_dict()["tables"][table].items() if count != 0}


def test_counts_of_lesions_by_hand() -> None:
    counts = sample_counts()
    # Of the man with nine lesions five count: 30 + 12 + 5 + 3. Patients: 30 + 12 + 1 + 3 = 46.
    assert (counts.lesions, counts.patients) == (50, 45)
    assert cells(counts, "diagnosis") == {"nevus": 30, "melanoma": 10}  # five carcinomas are of one patient
    assert cells(counts, "age") == {"30 to 39": 30, "60 to 69": 10}
    assert cells(counts, "sex") == {"female": None, "male": 15}  # 30 + 15 + 0 of 50: a step is missing
    assert cells(counts, "site") == {"trunk": 30, "head neck": 10}
    assert cells(counts, "skin_type") == {"II": 10, "not known": 35}


def test_nothing_is_told_of_nine_patients() -> None:
    with pytest.raises(DatasetError, match="9 patients"):
        LesionCounts.of([*lesions("nevus", 8), *lesions("bcc", 40, "somebody")])


def test_a_label_that_is_no_diagnosis_is_other() -> None:
    assert cells(LesionCounts.of(lesions("Wilhelmine Obermoser", 12)), "diagnosis") == {"other": 10}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.sampled_from(["nevus", "melanoma", "wart"]), st.sampled_from([None, 34.0]))
def test_a_patient_moves_no_number_by_more_than_a_step(count: int, label: str, age: float | None) -> None:
    more = LesionCounts.of([*sample_records(), *lesions(f"{label}, new", count, "another", age=age)])
    before = sample_counts()
    assert more.lesions - before.lesions in (0, 5)
    assert more.patients - before.patients in (0, 5)
    for name in TABLES:
        told = (more.tables[name] != HIDDEN) & (before.tables[name] != HIDDEN)
        assert set((more.tables[name] - before.tables[name])[told]) <= {0, 5, 10, 15}
        grown = (more.tables[name] - before.tables[name])[told & (before.tables[name] > 0)]
        assert set(grown) <= {0, 5}


def test_a_message_and_a_file_say_the_same() -> None:
    counts = sample_counts()
    for again in (
        decode_lesion_counts(encode_lesion_counts(counts)),
        LesionCounts.from_dict(counts.to_dict()),
    ):
        assert again.to_dict() == counts.to_dict()


@pytest.mark.parametrize("change", ["lesions", "cell", "table", "two hidden", "more than all"])
def test_what_may_not_be_told_is_refused(change: str) -> None:
    counts = sample_counts()
    tables = {name: table.copy() for name, table in counts.tables.items()}
    if change == "cell":
        tables["age"][3] = 31
    elif change == "table":
        tables["clinic"] = np.zeros(2, np.int64)
    elif change == "two hidden":
        tables["site"][:2] = HIDDEN
    elif change == "more than all":
        tables["sex"][1] = 55
    wrong = replace(counts, tables=tables, lesions=51 if change == "lesions" else 50)
    with pytest.raises(FederationError):
        decode_lesion_counts(encode_lesion_counts(wrong))
