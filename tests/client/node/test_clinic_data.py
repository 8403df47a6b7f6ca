"""A clinic prepares its data for an offer exactly as a simulation does for the clinic of that name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.client.node.clinic_data import ClinicData, OfferFolder, count_training_images, split_clinic_data
from dermafed.client.node.clinic_trainer import clinic_seed
from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.simulation.runs.prepare import prepare, write_clinic_splits
from dermafed.simulation.runs.run_settings import RunSettings
from tests.client.planted_clinic import CLASSES, FILE, OFFER, data_set, offer


@pytest.mark.parametrize("split", ["drawn", "even"])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_split_is_the_simulations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str, seed: int
) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    both = tmp_path / "both"
    data_set(both, images=40)
    lines = (both / "manifest.csv").read_text().splitlines()
    names = ["wien" if number % 3 == 0 else "graz" for number in range(40)]
    rows = [f"{line},{name}" for line, name in zip(lines[1:], names, strict=True)]
    (both / "manifest.csv").write_text("\n".join([f"{lines[0]},clinic", *rows]) + "\n")
    (both / "graz.csv").write_text(
        "\n".join([lines[0], *(row for row in rows if row.endswith("graz"))]).replace(",graz", "")
    )
    settings = RunSettings(data=str(both), classes="melanoma=melanoma,nevus=nevus", seed=seed, split=split)
    prepared = prepare(both / "manifest.csv", settings, OFFER.preprocess)
    (simulated, _), _ = write_clinic_splits(tmp_path / "simulated", prepared.clinics)
    folder = OfferFolder(tmp_path / "offer", "graz")
    clinic_split = split_clinic_data(
        ClinicData("graz", both / "graz.csv"), offer(seed=seed, split=split), folder
    )
    assert (folder.split / "site.csv").read_bytes() == (simulated / "site.csv").read_bytes()
    assert clinic_seed(clinic_split, seed) == clinic_seed(prepared.clinics[0], seed)
    sums = [sum(record.label == name for record in clinic_split.splits.train) for name in CLASSES]
    assert count_training_images(clinic_split, CLASSES).tolist() == sums


def test_with_noise_for_each_patient_no_side_depends_on_other_patients(tmp_path: Path) -> None:
    data = data_set(tmp_path / "data", images=120)
    private = offer(
        model=replace(OFFER.model, batch_norm="frozen"),
        calibrate=False,
        privacy=PrivacySettings(dp=DifferentialPrivacy(epsilon=8, delta=1e-5)),
    )

    def sides(of: Offer, name: str) -> dict[str, str]:
        folder = OfferFolder(tmp_path / name, "graz")
        splits = split_clinic_data(ClinicData("graz", data), of, folder).splits.sides().items()
        return {record.image_id: side for side, records in splits for record in records}

    before = {"private": sides(private, "private"), "plain": sides(OFFER, "plain")}
    lines = (data / "manifest.csv").read_text().splitlines()
    (data / "manifest.csv").write_text("\n".join(lines[:1] + lines[2:]) + "\n")
    (data / f"{FILE}_0.png").unlink()
    after = {"private": sides(private, "fewer"), "plain": sides(OFFER, "plain-fewer")}
    moved = {name: sum(before[name][image] != side for image, side in after[name].items()) for name in after}
    assert moved["private"] == 0 < moved["plain"]


def test_data_that_changed_after_the_start_are_refused(tmp_path: Path) -> None:
    folder = OfferFolder(tmp_path / "offer", "graz")
    split_clinic_data(ClinicData("graz", data_set(tmp_path / "data")), OFFER, folder)
    with pytest.raises(DatasetError, match="not those that this run began with"):
        split_clinic_data(ClinicData("graz", data_set(tmp_path / "more", images=30)), OFFER, folder)


def test_data_of_other_classes_are_refused(tmp_path: Path) -> None:
    data = data_set(tmp_path / "data")
    (data / "manifest.csv").write_text(
        (data / "manifest.csv").read_text().replace("nevus", "wart-like thing")
    )
    with pytest.raises(DatasetError, match="unknown label"):
        split_clinic_data(ClinicData("graz", data), OFFER, OfferFolder(tmp_path / "offer", "graz"))


def test_columns_of_other_names(tmp_path: Path) -> None:
    data = data_set(tmp_path / "data")
    manifest = data / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("image", "Bild", 1).replace("diagnosis", "Befund", 1))
    header = manifest.read_text().splitlines()[0].split(",")
    columns = ColumnNames(next(name for name in header if "Bild" in name), "Befund")
    clinic = ClinicData("graz", data, columns=columns)
    assert split_clinic_data(clinic, OFFER, OfferFolder(tmp_path / "offer", "graz")).splits.train
