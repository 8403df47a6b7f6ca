"""What a person accepts becomes a record that the clinic's next run trains with, and no run that began."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.encryption import StoreCipher
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import Store
from dermafed.client.node.clinic_data import (
    ClinicData,
    OfferFolder,
    preprocess_clinic_data,
    split_clinic_data,
)
from dermafed.client.node.health import check_clinic
from dermafed.client.node.home import Home
from dermafed.client.node.reviewed import read_reviewed
from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.imaging.cache import default_cache_folder
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.lesions.record import LesionRecord
from tests.client.clinic.store.samples import all_bytes, diagnosis, noise, prepared, received, save_one
from tests.client.planted_clinic import CLASSES, data_set, offer

SAYS = Opinion("dr-huber", False, "melanoma", "streaks", "histopathology")


def waiting(store: Store, seed: int, *opinions: Opinion, **changes: object) -> str:
    made = save_one(store, seed, **changes)
    for opinion in opinions:
        store.add_opinion(made.id, opinion)
    return made.id


def test_disagreements_and_confirmed_diagnoses_wait_until_reviewed(store: Store) -> None:
    agrees, sure = Opinion("dr-a", True), Opinion("dr-a", True, confirmed_by="follow-up")
    save_one(store, 1)
    waiting(store, 2, agrees)
    ids = [waiting(store, 3, sure), waiting(store, 4, agrees, SAYS), waiting(store, 5, SAYS, sure)]
    ids.append(waiting(store, 6, Opinion("dr-b", False, "other")))
    assert [(each.diagnosis.id, each.label, each.confirmed_by) for each in store.list_pending()] == [
        (ids[0], "nevus", "follow-up"),
        (ids[1], "melanoma", "histopathology"),
        (ids[2], None, "follow-up"),
        (ids[3], None, None),
    ]
    store.accept(ids[0], "person")
    store.reject(ids[1], "person")
    assert [each.diagnosis.id for each in store.list_pending()] == ids[2:]
    store.add_opinion(ids[1], SAYS)
    assert [each.diagnosis.id for each in store.list_pending()] == ids[1:]
    store.expire(datetime.now(UTC) + timedelta(31))
    assert store.list_pending() == []


def test_an_accepted_diagnosis_is_a_labelled_record(home: Home, store: Store) -> None:
    id = waiting(store, 1, SAYS)
    assert not home.reviewed.exists()
    store.accept(id, "person")
    (record,) = read_reviewed(home.reviewed)
    image = home.reviewed / f"{id}.jpg"
    with (home.reviewed / "metadata.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    key = StoreCipher(bytes.fromhex((home.store / "store.key").read_text()))
    assert row == {
        "image_id": id,
        "lesion_id": hashlib.sha256(image.read_bytes()).hexdigest()[:16],
        "patient_id": hmac.digest(key._derived(b"digest"), b'["patient", "4711"]', "sha256").hex()[:16],
        "diagnosis": "melanoma",
        "confirmed_by": "histopathology",
        "age": "71",
        "sex": "female",
        "site": "left forearm",
        "split": "train",
    }
    assert replace(record, attributes={}) == LesionRecord(
        id, image, "melanoma", row["lesion_id"], row["patient_id"], 71.0, "female", "left forearm"
    )
    np.testing.assert_array_equal(read_image(image), store.load_image(id))
    assert b"Obermoser" not in all_bytes(home.reviewed)
    assert not any(path.stat().st_mode & 0o077 for path in (home.reviewed, *home.reviewed.iterdir()))


def test_without_clinical_data_the_cells_are_empty(home: Home, store: Store) -> None:
    of = received(7, clinical=replace(received().clinical, age=None, sex=None, site=None), reference=None)
    made = store.save(diagnosis(of), of, prepared(7))
    store.add_opinion(made.id, SAYS)
    store.accept(made.id, "person", "Nodular melanoma")
    (record,) = read_reviewed(home.reviewed)
    assert (record.label, record.age, record.sex, record.body_site) == ("Nodular melanoma", None, None, None)
    assert record.patient_id is None


def test_the_label_must_be_a_known_diagnosis(home: Home, store: Store) -> None:
    quarrel = waiting(store, 1, SAYS, Opinion("dr-b", True, confirmed_by="consensus"))
    other = waiting(store, 2, Opinion("dr-b", False, "other"))
    for id in (quarrel, other):
        with pytest.raises(SettingsError, match="do not agree"):
            store.accept(id, "person")
    for label in ("other", "unk", "a funny thing"):
        with pytest.raises(SettingsError, match="not a diagnosis that a model can learn"):
            store.accept(other, "person", label)
    assert not home.reviewed.exists()
    assert store.accept(other, "person", "bcc").diagnosis == "bcc"
    assert len(store.list_pending()) == 1


def test_an_unknown_diagnosis_cannot_be_accepted(store: Store) -> None:
    id = waiting(store, 1, SAYS)
    for do in (store.accept, store.reject):
        with pytest.raises(Refused, match="no such diagnosis"):
            do("0" * 32, "person")
    store.expire(datetime.now(UTC) + timedelta(31))
    with pytest.raises(Refused, match="no longer stored"):
        store.accept(id, "person")


def test_the_same_pixels_are_accepted_once(home: Home, store: Store) -> None:
    first, again = waiting(store, 1, SAYS), waiting(store, 1, SAYS)
    store.accept(first, "person")
    store.accept(first, "person", "nevus")
    with pytest.raises(DatasetError, match="accepted before") as caught:
        store.accept(again, "person")
    assert caught.value.where == first
    (record,) = read_reviewed(home.reviewed)
    assert (record.image_id, record.label) == (first, "nevus")
    assert [each.diagnosis.id for each in store.list_pending()] == [again]


def test_rejecting_and_forgetting_take_a_record_out_again(home: Home, store: Store) -> None:
    ids = [waiting(store, seed, SAYS) for seed in range(3)]
    for id in ids:
        store.accept(id, "person")
    images = [(home.reviewed / f"{id}.jpg").read_bytes() for id in ids]
    store.reject(ids[0], "person")
    store.forget(ids[1])
    assert [record.image_id for record in read_reviewed(home.reviewed)] == [ids[2]]
    assert images[0] not in all_bytes(home.folder)
    assert images[1] not in all_bytes(home.folder)
    store.forget(ids[2])
    assert read_reviewed(home.reviewed) == ()
    assert list(home.reviewed.iterdir()) == []


def test_a_record_outlives_the_diagnosis(home: Home, store: Store) -> None:
    id = waiting(store, 1, SAYS)
    store.accept(id, "person")
    store.expire(datetime.now(UTC) + timedelta(31))
    (record,) = read_reviewed(home.reviewed)
    assert record.path.exists()


def test_a_reader_sees_whole_records_only(home: Home, store: Store) -> None:
    """An image without a row, or a row without an image, as a death or another process leaves them."""
    store.accept(waiting(store, 1, SAYS), "person")
    store.accept(second := waiting(store, 2, SAYS), "person")
    (home.reviewed / f"{second}.jpg").rename(home.reviewed / f"{'0' * 32}.jpg")
    assert len(read_reviewed(home.reviewed)) == 1


def test_the_next_run_contains_it_and_the_one_that_began_does_not(
    home: Home, store: Store, tmp_path: Path
) -> None:
    clinic = ClinicData("graz", data_set(tmp_path / "data"), home.reviewed)
    began, then = OfferFolder(tmp_path / "began", "graz"), OfferFolder(tmp_path / "then", "graz")
    before = split_clinic_data(clinic, offer(), began)
    first = waiting(store, 1, SAYS)
    store.accept(first, "person")
    assert split_clinic_data(clinic, offer(), began) == before
    after = split_clinic_data(clinic, offer(), then)
    store.accept(waiting(store, 2, SAYS), "person")
    assert split_clinic_data(clinic, offer(), then) == after
    records = [record for side in after.splits.sides().values() for record in side]
    (accepted,) = (record for record in records if record.image_id == first)
    assert (accepted.label, accepted.age, accepted.path) == ("melanoma", 71.0, home.reviewed / f"{first}.jpg")
    assert len(records) == 21
    assert sum(after.images_per_class(CLASSES).values()) == 21
    third = split_clinic_data(clinic, offer(), OfferFolder(tmp_path / "third", "graz"))
    assert sum(third.images_per_class(CLASSES).values()) == 22


@pytest.mark.parametrize("split", ["drawn", "even"])
def test_a_run_that_began_goes_on_whatever_is_accepted(
    home: Home, store: Store, tmp_path: Path, split: str
) -> None:
    """The records that an even split leaves out count for the draw, so they must come back too."""
    clinic = ClinicData("graz", data_set(tmp_path / "data"), home.reviewed)
    for seed in range(8):
        store.accept(waiting(store, seed, SAYS, device=f"camera-{seed}"), "person")
    folder = OfferFolder(tmp_path / "offer", "graz")
    clinic_split = split_clinic_data(clinic, offer(split=split), folder)
    for seed in range(8, 16):
        store.accept(waiting(store, seed, SAYS), "person")
    assert split_clinic_data(clinic, offer(split=split), folder) == clinic_split


def test_a_given_split_takes_it_for_training(home: Home, store: Store, tmp_path: Path) -> None:
    data = data_set(tmp_path / "data")
    lines = (data / "manifest.csv").read_text().splitlines()
    sides = ["split", *(("train", "val", "test")[n % 3] for n in range(20))]
    (data / "manifest.csv").write_text("\n".join(map(",".join, zip(lines, sides, strict=True))) + "\n")
    id = waiting(store, 1, SAYS)
    store.accept(id, "person")
    clinic = ClinicData("graz", data, home.reviewed)
    clinic_split = split_clinic_data(clinic, offer(split="given"), OfferFolder(tmp_path / "offer", "graz"))
    assert id in {record.image_id for record in clinic_split.splits.train}


def test_forgetting_empties_the_cache_of_prepared_images(home: Home, store: Store, tmp_path: Path) -> None:
    clinic = ClinicData("graz", data_set(tmp_path / "data"), home.reviewed)
    for seed in range(5):
        store.accept(waiting(store, seed, SAYS), "person")
    ids = [record.image_id for record in read_reviewed(home.reviewed)]
    clinic_split = split_clinic_data(clinic, offer(), OfferFolder(tmp_path / "offer", "graz"))
    preprocess_clinic_data(clinic_split, offer())
    used = {
        record.path.stem: record.path
        for record in (*clinic_split.splits.train, *clinic_split.splits.validation)
    }
    digest = hashlib.sha256(used[next(id for id in ids if id in used)].read_bytes()).hexdigest()
    entries = list(default_cache_folder().rglob(digest[2:]))
    assert len(entries) == 1
    others = len([path for path in default_cache_folder().rglob("*") if path.is_file()])
    features = default_cache_folder() / "features" / "ab.npy"
    features.parent.mkdir()
    features.write_bytes(b"of any of the images")
    store.forget(next(id for id in ids if id in used))
    assert not entries[0].exists()
    assert not features.exists()
    assert len([path for path in default_cache_folder().rglob("*") if path.is_file()]) == others - 1


def test_check_counts_reviewed_records(home: Home, store: Store, tmp_path: Path) -> None:
    data_set(tmp_path / "data")
    store.accept(waiting(store, 1, SAYS), "person")
    (data_check,) = (check for check in check_clinic(home) if check.name == "data")
    assert data_check.what == "21 images: 11 melanoma, 10 nevus"


def test_an_image_of_any_shape_can_be_accepted(home: Home, store: Store) -> None:
    of = received(9, image=noise(9, 2, 66_000))
    made = store.save(diagnosis(of), of, prepared())
    store.accept(made.id, "person", "nevus")
    (record,) = read_reviewed(home.reviewed)
    with Image.open(io.BytesIO(record.path.read_bytes())) as image:
        assert (image.format, record.path.suffix) == ("PNG", ".png")


def test_the_latest_opinion_of_a_clinician_counts_and_a_withdrawn_one_is_not_offered(store: Store) -> None:
    agrees = Opinion("dr-huber", True)
    replaced, withdrawn = waiting(store, 31, SAYS, agrees), waiting(store, 32, SAYS)
    assert [each.diagnosis.id for each in store.list_pending()] == [withdrawn]
    store.withdraw_opinion(withdrawn, "dr-huber")
    assert store.list_pending() == []
    assert [each.standing for each in store.list_opinions(replaced)] == ["replaced", "current"]
    assert [each.standing for each in store.list_opinions(withdrawn)] == ["withdrawn"]
    with pytest.raises(Refused):
        store.withdraw_opinion(withdrawn, "dr-huber")
    store.add_opinion(withdrawn, SAYS)
    (pending,) = store.list_pending()
    assert (pending.label, pending.confirmed_by, pending.accepted) == ("melanoma", "histopathology", None)


def test_what_was_accepted_and_then_withdrawn_waits_to_be_taken_out(home: Home, store: Store) -> None:
    id = waiting(store, 33, SAYS)
    store.accept(id, "person")
    assert store.list_pending() == []
    store.withdraw_opinion(id, "dr-huber")
    (pending,) = store.list_pending()
    assert (pending.needs_review, pending.accepted) == (False, "melanoma")
    store.reject(id, "person")
    assert store.list_pending() == []
    assert read_reviewed(home.reviewed) == ()
