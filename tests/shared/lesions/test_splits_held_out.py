"""A test given by the data set, and validation drawn from the rest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.class_map import map_classes
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import Splits
from dermafed.shared.lesions.splits import check_no_duplicates, without_copies
from tests.shared.lesions.dataset_files import SHARED, images, record, split_records

SIDES = ("train", "validation", "test")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(SIDES)), min_size=40, max_size=80))
def test_the_given_test_stays_whole_and_its_lesions_are_nowhere_else(drawn: list[tuple[int, str]]) -> None:
    records = [record(f"i{n:02d}", lesion=f"l{lesion}", split=side) for n, (lesion, side) in enumerate(drawn)]
    test_images = {f"i{n:02d}" for n, (_, side) in enumerate(drawn) if side != "train"}
    lesions = {records[int(name[1:])].lesion_id for name in test_images}
    free = {r.lesion_id for r in records} - lesions
    if not test_images or len(free) < 2:
        return
    splits = split_records(records, seed=0, kind="held-out")
    assert {r.image_id for r in splits.test} == test_images
    sides = [{r.lesion_id for r in side} for side in (splits.train, splits.validation)]
    assert sides[0] | sides[1] == free
    assert not sides[0] & sides[1]


def test_an_eighth_of_the_rest_is_validation_by_class() -> None:
    records = [record(f"m{n:02d}", "melanoma", split="train") for n in range(16)]
    records += [record(f"n{n:02d}", "nevus", split="train") for n in range(48)]
    records += [record("t", "nevus", split="test")]
    counts = split_records(records, seed=1, kind="held-out").counts()
    assert counts == {
        "train": {"melanoma": 14, "nevus": 42},
        "validation": {"melanoma": 2, "nevus": 6},
        "test": {"nevus": 1},
    }


def test_a_split_that_names_no_test_is_refused() -> None:
    with pytest.raises(DatasetError, match="leave no test image"):
        split_records([record(f"i{n}", split="train") for n in range(8)], seed=0, kind="held-out")
    with pytest.raises(DatasetError, match="the given split of j is ''"):
        split_records([record("j")], seed=0, kind="held-out")


def test_a_copy_of_a_test_image_is_left_out_of_training(tmp_path: Path) -> None:
    names = ["kept.jpg", "test.jpg", "copy.jpg", "size.jpg"]
    images(tmp_path, *names)
    (tmp_path / "copy.jpg").write_bytes((tmp_path / "test.jpg").read_bytes())
    own, test, copy, size = (record(name[:-4], path=tmp_path / name) for name in names)
    assert without_copies(Splits((own, copy), (size,), (test,))) == Splits((own,), (size,), (test,))


@pytest.mark.skipif(not (SHARED / "isic2017").is_dir(), reason="needs the real data")
def test_the_official_validation_set_of_isic_2017_is_the_test() -> None:
    _, records, _ = map_classes(load_dataset(SHARED / "isic2017").records, "paper")
    splits = split_records(records, seed=0, kind="held-out")
    assert Counter(r.label for r in splits.test) == {"nevus": 78, "seborrheic_keratosis": 42, "melanoma": 30}
    # Two lesions of the official validation set have three images in the official training set.
    assert len(splits.train) + len(splits.validation) == 2000 - 3
    assert len(splits.validation) == 250
    # And one of its images is there under another name, of another lesion.
    alone = without_copies(splits)
    left = {r.image_id for r in (*splits.train, *splits.validation)}
    assert left - {r.image_id for r in (*alone.train, *alone.validation)} == {"ISIC_0012970"}
    check_no_duplicates([alone])
    assert not {r.group for r in splits.test} & {r.group for r in (*splits.train, *splits.validation)}
