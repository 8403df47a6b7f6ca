from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.simulation.runs.thinning import keep_images, take_part


def lesions(labels: list[str], images: int = 1, prefix: str = "a") -> tuple[LesionRecord, ...]:
    """So many images of one lesion a label."""
    return tuple(
        LesionRecord(f"{prefix}{n:03d}-{i}", Path("x.jpg"), label, lesion_id=f"{prefix}{n}")
        for n, label in enumerate(labels)
        for i in range(images)
    )


def clinic(labels: list[str], images: int = 1) -> Splits:
    sides = [lesions(labels, images), lesions(["nevus"], prefix="v"), lesions(["melanoma"], prefix="t")]
    return Splits(*sides)


MIXED = ["melanoma"] * 20 + ["nevus"] * 60


def test_every_clinic_keeps_so_many_and_one_alone_may() -> None:
    splits = {"east": clinic(MIXED), "west": clinic(MIXED[:30])}
    assert [len(own.train) for own in keep_images(splits, "40", seed=0).values()] == [40, 30]
    assert [len(own.train) for own in keep_images(splits, "east:8", seed=0).values()] == [8, 30]
    assert keep_images(splits, None, seed=0) == splits


def test_the_mix_stays() -> None:
    kept = keep_images({"east": clinic(MIXED)}, "8", seed=3)["east"].train
    assert Counter(record.label for record in kept) == {"nevus": 6, "melanoma": 2}


def test_another_seed_keeps_others() -> None:
    first, second = (keep_images({"east": clinic(MIXED)}, "8", seed=seed)["east"].train for seed in (1, 2))
    assert first != second


@given(
    st.lists(st.sampled_from(["melanoma", "nevus", "wart"]), min_size=1, max_size=30),
    st.integers(1, 3),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(0, 5),
)
def test_fewer_lie_within_more_in_whole_lesions_and_nothing_else_changes(
    labels: list[str], images: int, fewer: int, more: int, seed: int
) -> None:
    own = clinic(labels, images)
    fewer, more = sorted((fewer, more))
    small, large = (keep_images({"a": own}, str(count), seed=seed)["a"] for count in (fewer, more))
    names = [{record.image_id for record in splits.train} for splits in (small, large, own)]
    assert names[0] <= names[1] <= names[2]
    for kept, count in ((small, fewer), (large, more)):
        # Lesions are of one size: as many whole ones as there is room for, and one at least.
        assert len(kept.train) == min(max(count // images, 1), len(labels)) * images
        assert len({record.lesion_id for record in kept.train}) * images == len(kept.train)
        assert (kept.validation, kept.test) == (own.validation, own.test)
        assert list(kept.train) == sorted(kept.train, key=lambda record: record.image_id)


def test_clinics_that_take_part() -> None:
    splits = {"east": clinic(MIXED), "north": clinic(MIXED[:9]), "west": clinic(MIXED[:30])}
    assert take_part(splits, "west, east") == {"east": splits["east"], "west": splits["west"]}
    assert take_part(splits, None) == splits


@pytest.mark.parametrize("spec", ["", "0", "-3", "many", "east:", ":5", "1.5", "east:x", "9" * 10])
def test_what_is_no_number_of_images(spec: str) -> None:
    with pytest.raises(SettingsError, match="no number of images"):
        keep_images({"east": clinic(MIXED)}, spec, seed=0)


def test_a_clinic_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"'south'.*east"):
        keep_images({"east": clinic(MIXED)}, "south:5", seed=0)
    with pytest.raises(SettingsError, match=r"'south'.*east"):
        take_part({"east": clinic(MIXED)}, "south,east")
