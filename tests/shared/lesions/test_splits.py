from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.lesions.class_map import map_classes
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import SIDES, LesionRecord, Splits
from dermafed.shared.lesions.splits import FRACTIONS, check_no_duplicates, split_clinics
from tests.shared.lesions.dataset_files import SHARED, record, split_records

CLASSES = ("melanoma", "nevus")
Clinics = dict[str, list[LesionRecord]]


@st.composite
def federations(draw: st.DrawFn, shared: bool = True) -> Clinics:
    """Two clinics with lesions of one to four images; with ``shared``, they and patients cross everything."""
    clinics: Clinics = {}
    for clinic in ("east", "west"):
        size = draw(st.integers(12, 40))
        prefix = "" if shared else clinic
        lesions = draw(st.lists(st.integers(0, 20), min_size=size, max_size=size))
        patients = draw(st.lists(st.none() | st.integers(0, 60), min_size=size, max_size=size))
        clinics[clinic] = [
            record(
                f"{clinic}{i:03d}",
                draw(st.sampled_from(CLASSES)) if shared else CLASSES[lesion % 2],
                lesion=None if shared and i % 3 == 0 else f"{prefix}{lesion}",
                patient=None if patient is None or not shared else str(patient),
            )
            for i, (lesion, patient) in enumerate(zip(lesions, patients, strict=True))
        ]
    return clinics


def sides_of(splits: dict[str, Splits]) -> dict[str, str]:
    return {r.image_id: side for s in splits.values() for side, part in s.sides().items() for r in part}


def attempt(clinics: Clinics, seed: int) -> dict[str, Splits] | None:
    """Split, or give ``None`` where lesions and patients tie too much together."""
    try:
        return split_clinics(clinics, seed=seed)
    except DatasetError:
        return None


@settings(max_examples=30, deadline=None)
@given(federations(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_no_lesion_or_patient_crosses_and_order_does_not_count(
    clinics: Clinics, seed: int, shuffler: random.Random
) -> None:
    splits = attempt(clinics, seed)
    if splits is None:
        return
    side = sides_of(splits)
    records = [r for own in clinics.values() for r in own]
    assert len(side) == len(records) == sum(len(p) for s in splits.values() for p in s.sides().values())
    for owner in ("lesion_id", "patient_id"):
        seen: dict[str, str] = {}
        for r in records:
            name = getattr(r, owner)
            if name is not None:
                assert seen.setdefault(name, side[r.image_id]) == side[r.image_id]
    shuffled = {clinic: shuffler.sample(own, len(own)) for clinic, own in reversed(clinics.items())}
    assert split_clinics(shuffled, seed=seed) == splits


@settings(max_examples=30, deadline=None)
@given(federations(shared=False), st.integers(0, 5))
def test_fractions_rare_classes_and_independence_of_clinics(clinics: Clinics, seed: int) -> None:
    splits = attempt(clinics, seed)
    if splits is None:
        return
    for clinic, own in clinics.items():
        assert split_clinics({clinic: own}, seed=seed)[clinic] == splits[clinic]
        for label in CLASSES:
            lesions = Counter(r.lesion_id for r in own if r.label == label)
            total, largest = sum(lesions.values()), max(lesions.values(), default=0)
            for side, fraction in zip(SIDES, FRACTIONS, strict=True):
                count = splits[clinic].counts()[side].get(label, 0)
                assert abs(count - fraction * total) <= largest + 1
                assert count >= (len(lesions) >= 3)


def test_one_patient_more_moves_no_other_where_each_is_drawn_alone() -> None:
    """Differential privacy is about one patient more: the sides of the others must stay as they are."""
    records = [
        record(f"i{n:03d}", CLASSES[n % 5 > 0], lesion=f"l{n // 2}", patient=f"p{n // 4}") for n in range(400)
    ]
    moved = {"single": 0, "drawn": 0}
    for kind in moved:
        with_all = sides_of({"": split_records(records, seed=3, kind=kind)})
        for patient in range(0, 100, 10):
            others = [one for one in records if one.patient_id != f"p{patient}"]
            sides = sides_of({"": split_records(others, seed=3, kind=kind)})
            moved[kind] += sum(side != with_all[name] for name, side in sides.items())
    assert moved["single"] == 0
    assert moved["drawn"] > 100  # the control: filled up by class, each patient moves ten images and more
    counts = [len(side) for side in split_records(records, seed=3, kind="single").sides().values()]
    for count, share in zip(counts, FRACTIONS, strict=True):
        assert abs(count / 4 - 100 * share) < 4 * (100 * share * (1 - share)) ** 0.5
    halves = split_records(records, seed=3, kind="single", fractions=(0.5, 0, 0.5))
    assert not halves.validation
    assert min(len(halves.train), len(halves.test)) > 120


def test_exact_fractions_and_another_seed() -> None:
    records = [
        record(f"{label}{i:03d}", label) for label, n in (("melanoma", 30), ("nevus", 70)) for i in range(n)
    ]
    splits = split_records(records, seed=1)
    assert splits.counts() == {
        "train": {"melanoma": 21, "nevus": 49},
        "validation": {"melanoma": 3, "nevus": 7},
        "test": {"melanoma": 6, "nevus": 14},
    }
    assert split_records(records, seed=1) == splits
    assert split_records(records, seed=2) != splits
    halves = split_records(records, seed=1, fractions=(0.5, 0, 0.5))
    assert (len(halves.train), len(halves.validation), len(halves.test)) == (50, 0, 50)


def test_even_split_levels_the_classes_within_each_side() -> None:
    records = [
        record(f"{label}{i:03d}", label) for label, n in (("melanoma", 30), ("nevus", 70)) for i in range(n)
    ]
    even = split_records(records, seed=1, kind="even")
    assert even.counts() == {
        side: dict.fromkeys(CLASSES, n) for side, n in zip(SIDES, (21, 3, 6), strict=True)
    }
    plain = split_records(records, seed=1)
    assert set(sides_of({"": even}).items()) <= set(sides_of({"": plain}).items())
    with pytest.raises(DatasetError, match="no validation image of melanoma: an even split"):
        split_records([*records[30:], record("m1", "melanoma")], seed=1, kind="even")


def test_takes_the_given_split_and_refuses_one_that_leaks() -> None:
    sides = ["train", "Training", "val", "test"]
    records = [record(f"i{n}", lesion=f"l{n}", split=side) for n, side in enumerate(sides)]
    splits = split_records(records, seed=0, kind="given")
    assert [[r.image_id for r in side] for side in splits.sides().values()] == [["i0", "i1"], ["i2"], ["i3"]]
    with pytest.raises(DatasetError, match=r"i0 in train and j in test of the given split .*lesion l0"):
        split_records([*records, record("j", lesion="l0", split="test")], seed=0, kind="given")
    with pytest.raises(DatasetError, match="the given split of j is 'fold1'"):
        split_records([*records, record("j", split="fold1")], seed=0, kind="given")
    with pytest.raises(DatasetError, match="leave no test image"):
        split_records(records[:3], seed=0, kind="given")


def test_refuses_a_clinic_too_small_to_split_by_name() -> None:
    clinics = {
        "big": [record(f"b{i}") for i in range(10)],
        "tiny": [record("t1"), record("t2"), record("t3", lesion="x")],
    }
    assert split_clinics(clinics, seed=0)["tiny"].counts() == {side: {"nevus": 1} for side in SIDES}
    with pytest.raises(DatasetError, match="none has too few images to split: 0 of them"):
        split_clinics({"none": []}, seed=0)
    clinics["tiny"][1:] = [record("t2", lesion="x"), record("t3", lesion="x")]
    with pytest.raises(DatasetError, match="tiny has too few images to split: 3 of them"):
        split_clinics(clinics, seed=0)


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (1.2, -0.1, -0.1)])
def test_refuses_impossible_fractions(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(SettingsError, match="not shares of one"):
        split_records([record("a")], seed=0, fractions=fractions)


def test_refuses_duplicate_files_on_two_sides_only(tmp_path: Path) -> None:
    records = []
    for name, content in {"a": b"one", "b": b"one", "c": b"two", "d": b"three"}.items():
        (tmp_path / f"{name}.jpg").write_bytes(content)
        records.append(record(name, path=tmp_path / f"{name}.jpg"))
    a, b, c, d = records
    check_no_duplicates([Splits((a, b), (c,), (d,))])
    with pytest.raises(DatasetError, match=r"in train \(.*a\.jpg\) and in test \(.*b\.jpg\)"):
        check_no_duplicates([Splits((a,), (), (d,)), Splits((c,), (), (b,))])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared/data beside the checkout is absent")
def test_splits_the_four_real_clinics_without_leak_or_duplicate(tmp_path: Path) -> None:
    _, records, _ = map_classes(load_dataset(SHARED / "ham10000").records, "paper")
    clinics: Clinics = {}
    for r in records:
        clinics.setdefault(r.attributes["clinic"], []).append(r)
    splits = split_clinics(clinics, seed=3)
    side = sides_of(splits)
    lesion_sides = {(r.lesion_id, side[r.image_id]) for r in records}
    assert len(lesion_sides) == len({r.lesion_id for r in records})
    for clinic, own in clinics.items():
        for name, fraction in zip(SIDES, FRACTIONS, strict=True):
            for label, count in Counter(r.label for r in own).items():
                assert abs(splits[clinic].counts()[name][label] - fraction * count) < 1.5
    check_no_duplicates(splits.values())
    copy = Path(shutil.copy(splits["rosendahl"].train[0].path, tmp_path))
    with pytest.raises(DatasetError, match="the same image is in train"):
        check_no_duplicates([*splits.values(), Splits((), (), (record("copy", path=copy),))])
