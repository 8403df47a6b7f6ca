from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.simulation.runs.subsets import limit_training_images, select_clinics


def lesions(labels: list[str], images: int = 1, prefix: str = "a") -> tuple[LesionRecord, ...]:
    """Images of one lesion for each label."""
    return tuple(
        LesionRecord(f"{prefix}{n:03d}-{i}", Path("x.jpg"), label, lesion_id=f"{prefix}{n}")
        for n, label in enumerate(labels)
        for i in range(images)
    )


def clinic(labels: list[str], images: int = 1) -> Splits:
    sides = [lesions(labels, images), lesions(["nevus"], prefix="v"), lesions(["melanoma"], prefix="t")]
    return Splits(*sides)


MIXED = ["melanoma"] * 20 + ["nevus"] * 60


def test_the_limit_is_for_every_clinic_or_for_one() -> None:
    splits = {"east": clinic(MIXED), "west": clinic(MIXED[:30])}
    assert [len(own.train) for own in limit_training_images(splits, "40", seed=0).values()] == [40, 30]
    assert [len(own.train) for own in limit_training_images(splits, "east:8", seed=0).values()] == [8, 30]
    assert limit_training_images(splits, None, seed=0) == splits


def test_the_mix_of_classes_is_the_clinics() -> None:
    selected = limit_training_images({"east": clinic(MIXED)}, "8", seed=3)["east"].train
    assert Counter(record.label for record in selected) == {"nevus": 6, "melanoma": 2}


def test_another_seed_selects_other_images() -> None:
    first, second = (
        limit_training_images({"east": clinic(MIXED)}, "8", seed=seed)["east"].train for seed in (1, 2)
    )
    assert first != second


@given(
    st.lists(st.sampled_from(["melanoma", "nevus", "wart"]), min_size=1, max_size=30),
    st.integers(1, 3),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(0, 5),
)
def test_a_larger_selection_contains_the_smaller_in_whole_lesions(
    labels: list[str], images: int, fewer: int, more: int, seed: int
) -> None:
    own = clinic(labels, images)
    fewer, more = sorted((fewer, more))
    small, large = (limit_training_images({"a": own}, str(count), seed=seed)["a"] for count in (fewer, more))
    names = [{record.image_id for record in splits.train} for splits in (small, large, own)]
    assert names[0] <= names[1] <= names[2]
    for selected, count in ((small, fewer), (large, more)):
        # Lesions have one size: as many whole ones as the limit allows, and at least one.
        assert len(selected.train) == min(max(count // images, 1), len(labels)) * images
        assert len({record.lesion_id for record in selected.train}) * images == len(selected.train)
        assert (selected.validation, selected.test) == (own.validation, own.test)
        assert list(selected.train) == sorted(selected.train, key=lambda record: record.image_id)


def test_clinics_that_take_part() -> None:
    splits = {"east": clinic(MIXED), "north": clinic(MIXED[:9]), "west": clinic(MIXED[:30])}
    assert select_clinics(splits, "west, east") == {"east": splits["east"], "west": splits["west"]}
    assert select_clinics(splits, None) == splits


@pytest.mark.parametrize("spec", ["", "0", "-3", "many", "east:", ":5", "1.5", "east:x", "9" * 10])
def test_a_malformed_number_of_images_is_refused(spec: str) -> None:
    with pytest.raises(SettingsError, match="not a number of images"):
        limit_training_images({"east": clinic(MIXED)}, spec, seed=0)


def test_an_unknown_clinic_is_named() -> None:
    with pytest.raises(SettingsError, match=r"'south'.*east"):
        limit_training_images({"east": clinic(MIXED)}, "south:5", seed=0)
    with pytest.raises(SettingsError, match=r"'south'.*east"):
        select_clinics({"east": clinic(MIXED)}, "south,east")
