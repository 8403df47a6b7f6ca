"""Lesions of several images: their numbers, and that these end with the images."""

from __future__ import annotations

import csv
import random
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.lesions import read_lesion
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.restore import restore_store
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.home import Home
from tests.client.clinic.store.samples import diagnosis, prepared, received, save_one


def test_a_written_number_is_read_in_each_of_its_forms() -> None:
    for text in ("42", "L-0042", " l42", "L 42", "0042"):
        assert read_lesion(text) == "L-0042"
    assert read_lesion("L-123456") == "L-123456"
    for text in ("", "L-0", "L-", "-42", "4 2", "L--42", "٤٢", "42a", "1234567890"):
        assert read_lesion(text) is None


def test_of_every_image_the_latest_assignment_counts(store: Store) -> None:
    """A random walk of assignments to new, known, unknown and no lesions, beside a dictionary."""
    draw, given, expected = random.Random(25), 0, dict[str, str]()
    ids = [save_one(store, seed).id for seed in range(4)]
    for _ in range(40):
        id, number = draw.choice(ids), draw.randint(-1, 5)
        asked = f"L-{number:04d}"
        if number < 0:
            store.lesions.take_out(id, "anna")
            expected.pop(id, None)
        elif number > given:
            with pytest.raises(Refused, match="no such lesion"):
                store.lesions.assign(id, "anna", asked)
        else:
            given += number == 0
            expected[id] = asked if number else f"L-{given:04d}"
            assert store.lesions.assign(id, "anna", asked if number else None) == expected[id]
    assert given > 2
    assert {id: lesion for id in ids if (lesion := store.lesions.lesion_of(id))} == expected
    assert store.lesions.of_day(date.today()) == expected
    for number in range(1, given + 1):
        lesion = f"L-{number:04d}"
        images = [each.id for each in store.lesions.images(lesion)]
        assert images == [id for id in ids if expected.get(id) == lesion]
    with pytest.raises(Refused):
        store.lesions.images(f"L-{given + 1:04d}")


def test_a_number_ends_with_its_image_and_is_not_given_again(store: Store) -> None:
    old, new, other = (
        save_one(store, seed, time=(datetime.now(UTC) - timedelta(days)).isoformat(timespec="milliseconds"))
        for seed, days in ((1, 20), (2, 1), (3, 2))
    )
    lesion = store.lesions.assign(new.id, "anna")
    store.lesions.assign(old.id, "anna", lesion)
    assert [each.id for each in store.lesions.images(lesion)] == [old.id, new.id], "oldest first"
    store.expire(datetime.now(UTC), days=10)
    assert store.lesions.lesion_of(old.id) is None, "what has expired is of nobody's lesion"
    assert [each.id for each in store.lesions.images(lesion)] == [new.id]
    store.forget(new.id)
    assert store.lesions.images(lesion) == []
    assert store.lesions.assign(other.id, "anna") == "L-0002"


def test_numbers_given_since_a_backup_stay_taken_after_its_restore(
    home: Home, store: Store, tmp_path: Path
) -> None:
    first = save_one(store, 1)
    store.lesions.assign(first.id, "anna")
    store.close()
    backup = tmp_path / "backup"
    shutil.copytree(home.store, backup)
    assert [store.lesions.assign(save_one(store, seed).id, "anna") for seed in (2, 3)] == ["L-0002", "L-0003"]
    restore_store(home, backup)
    with open_store(home) as restored:
        assert restored.lesions.lesion_of(first.id) == "L-0001"
        assert restored.lesions.assign(first.id, "anna") == "L-0004"


def test_images_of_a_lesion_stay_on_one_side_of_a_split(home: Home, store: Store) -> None:
    ids = []
    for seed in (1, 2, 3):
        of = received(seed, reference=None)
        made = store.save(diagnosis(of), of, prepared(seed))
        store.add_opinion(made.id, Opinion("anna", True, confirmed_by="histopathology"))
        ids.append(made.id)
    lesion = store.lesions.assign(ids[0], "anna")
    store.lesions.assign(ids[1], "anna", lesion)
    for id in ids:
        store.accept(id, "anna")
    with (home.reviewed / "metadata.csv").open() as file:
        groups = {row["image_id"]: row["patient_id"] for row in csv.DictReader(file)}
    assert groups[ids[0]] == groups[ids[1]] != ""
    assert groups[ids[2]] == "", "without a number, nothing is known of the person"
    assert "L-0001" not in (home.reviewed / "metadata.csv").read_text()


def test_the_width_of_a_scaled_image_is_saved_and_that_of_others_is_unknown(store: Store) -> None:
    scaled = received(1, mm_per_pixel=0.05)  # 32 pixels wide
    made = replace(diagnosis(scaled), width_mm=scaled.width_mm)
    store.save(made, scaled, prepared(1))
    assert store.load(made.id).to_dict()["width_mm"] == 1.6
    assert "width_mm" not in save_one(store, 2).to_dict()
