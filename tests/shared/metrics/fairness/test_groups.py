from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.fairness.groups import group_weights


def records(sexes: list[str | None]) -> list[LesionRecord]:
    return [LesionRecord(str(n), Path(f"{n}.jpg"), "nevus", sex=sex) for n, sex in enumerate(sexes)]


def test_worked_example() -> None:
    # Melanoma is class 0: one of four women has it, three of four men.
    weights = group_weights(records(["female"] * 4 + ["male"] * 4), np.array([0, 1, 1, 1, 0, 0, 0, 1]), "sex")
    assert weights == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3, 2])


def test_without_groups_every_image_weighs_the_same() -> None:
    assert (group_weights(records(["female", "male"]), np.array([0, 1]), "none") == 1).all()


@given(
    st.lists(st.tuples(st.sampled_from(["female", "male", None]), st.integers(0, 2)), min_size=1, max_size=60)
)
def test_classes_have_the_same_shares_in_every_group_that_has_all_of_them(
    images: list[tuple[str | None, int]],
) -> None:
    sexes, labels = [sex for sex, _ in images], np.array([label for _, label in images])
    weights = group_weights(records(sexes), labels, "sex")
    assert (weights > 0).all()
    overall = np.bincount(labels, minlength=3) / len(labels)
    for sex in set(sexes):
        own = np.array([each == sex for each in sexes])
        shares = np.bincount(labels[own], weights[own], minlength=3) / own.sum()
        present = np.bincount(labels[own], minlength=3) > 0
        assert shares[present] == pytest.approx(overall[present], rel=1e-5)
