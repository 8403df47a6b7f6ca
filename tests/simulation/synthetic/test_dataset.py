from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.errors import SettingsError
from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
from dermafed.simulation.synthetic.dataset import COLUMNS, _apportion, generate_dataset

SIZE = 96
CLINICS = tuple(replace(clinic, images=48, class_mix=(1, 1, 1)) for clinic in DEFAULT_CLINICS)
TINY = tuple(replace(clinic, images=4) for clinic in DEFAULT_CLINICS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    generate_dataset(folder, profiles=CLINICS, seed=5, image_size=SIZE)
    return folder


@pytest.fixture(scope="module")
def manifest(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metadata.csv")


def pictures(
    folder: Path, manifest: pd.DataFrame
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]]:
    for name in manifest["image_id"]:
        image = cv2.imread(str(folder / "images" / f"{name}.jpg"), cv2.IMREAD_COLOR_RGB)
        mask = cv2.imread(str(folder / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert mask is not None
        yield np.asarray(image, np.uint8), np.asarray(mask) > 127


def fingerprint(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class TestFiles:
    def test_same_seed_same_bytes_on_any_number_of_cores(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, cores in (("one", 1), ("many", 5)):
            monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
            generate_dataset(tmp_path / name, profiles=TINY, seed=3, image_size=64)
        assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "many")

    def test_another_seed_gives_other_pictures(self, tmp_path: Path) -> None:
        prints = []
        for seed in (3, 4):
            generate_dataset(tmp_path / str(seed), profiles=TINY, seed=seed, image_size=64)
            prints.append(set(fingerprint(tmp_path / str(seed)).values()))
        assert not prints[0] & prints[1]

    def test_a_clinic_does_not_depend_on_the_size_of_the_others(self, tmp_path: Path) -> None:
        larger = (replace(TINY[0], images=7), *TINY[1:])
        for name, profiles in (("a", TINY), ("b", larger)):
            generate_dataset(tmp_path / name, profiles=profiles, seed=3, image_size=64)
        before, after = fingerprint(tmp_path / "a"), fingerprint(tmp_path / "b")
        second_clinic = [name for name in before if "SYN_L2" in name]
        assert len(second_clinic) == 2 * 4
        assert all(before[name] == after[name] for name in second_clinic)

    def test_every_image_has_a_mask_and_a_row(self, folder: Path, manifest: pd.DataFrame) -> None:
        names = sorted(manifest["image_id"])
        assert sorted(path.stem for path in (folder / "images").glob("*.jpg")) == names
        assert sorted(path.stem for path in (folder / "masks").glob("*.png")) == names
        assert all(image.shape == (SIZE, SIZE, 3) for image, _ in pictures(folder, manifest))

    def test_progress_counts_images(self, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        generate_dataset(
            tmp_path, profiles=TINY, seed=1, image_size=32, progress=lambda *now: seen.append(now)
        )
        assert seen[-1] == (12, 12)
        assert seen == sorted(seen)


class TestManifest:
    def test_columns_and_values(self, manifest: pd.DataFrame) -> None:
        assert tuple(manifest.columns) == COLUMNS
        assert manifest["image_id"].is_unique
        assert set(manifest["sex"].dropna()) == {"female", "male"}
        assert manifest["age"].dropna().between(5, 90).all()
        assert 0 < manifest[["age", "sex", "site"]].isna().to_numpy().mean() < 0.15

    def test_class_mix_is_exact(self, manifest: pd.DataFrame) -> None:
        counts = manifest.groupby(["clinic", "diagnosis"]).size()
        assert len(counts) == 9
        assert set(counts) == {16}

    def test_some_lesions_have_two_images_of_one_diagnosis(self, manifest: pd.DataFrame) -> None:
        lesions = manifest.groupby("lesion_id").agg(
            images=("image_id", "size"), kinds=("diagnosis", "nunique")
        )
        assert set(lesions["images"]) == {1, 2}
        assert 0.05 < (lesions["images"] == 2).mean() < 0.4
        assert (lesions["kinds"] == 1).all()

    def test_default_clinics_have_enough_of_each_class_to_split(self) -> None:
        assert sum(clinic.images for clinic in DEFAULT_CLINICS) == 1000
        for clinic in DEFAULT_CLINICS:
            assert min(_apportion(clinic.images, clinic.class_mix)) >= 15

    @given(st.integers(1, 2000), st.lists(st.floats(0.01, 10), min_size=1, max_size=6))
    def test_apportion_adds_up_and_stays_within_one(self, total: int, shares: list[float]) -> None:
        counts = _apportion(total, shares)
        assert sum(counts) == total
        assert all(abs(n - total * s / sum(shares)) < 1 + 1e-9 for n, s in zip(counts, shares, strict=True))


class TestImages:
    def test_masks_cover_the_lesion(self, folder: Path, manifest: pd.DataFrame) -> None:
        areas, darker = [], []
        for image, mask in pictures(folder, manifest):
            areas.append(mask.mean())
            near = cv2.dilate(mask.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
            darker.append(image[near & ~mask].mean() > image[mask].mean())
        assert min(areas) > 0.01
        assert max(areas) < 0.95
        assert 0.1 < np.median(areas) < 0.5
        assert np.mean(darker) > 0.93

    def test_melanoma_has_more_colours_than_nevus(self, folder: Path, manifest: pd.DataFrame) -> None:
        def spread(diagnosis: str) -> float:
            chosen = manifest[manifest["diagnosis"] == diagnosis]
            hues = [_chroma(image)[mask].std(axis=0).mean() for image, mask in pictures(folder, chosen)]
            return float(np.mean(hues))

        assert spread("melanoma") > 1.15 * spread("nevus")

    def test_keratosis_has_more_white_dots(self, folder: Path, manifest: pd.DataFrame) -> None:
        def dots(diagnosis: str) -> float:
            chosen = manifest[manifest["diagnosis"] == diagnosis]
            return float(np.mean([_bright_dots(*picture) for picture in pictures(folder, chosen)]))

        assert dots("seborrheic_keratosis") > 1.25 * max(dots("melanoma"), dots("nevus"))

    def test_keratosis_has_the_sharpest_border(self, folder: Path, manifest: pd.DataFrame) -> None:
        sharp = manifest[manifest["clinic"] != "rural_practice"]

        def steepness(diagnosis: str) -> float:
            chosen = sharp[sharp["diagnosis"] == diagnosis]
            return float(np.median([_steepness(*picture) for picture in pictures(folder, chosen)]))

        assert steepness("seborrheic_keratosis") > 1.15 * max(steepness("melanoma"), steepness("nevus"))

    def test_clinics_differ_in_colour(self, folder: Path, manifest: pd.DataFrame) -> None:
        skin = {}
        for clinic, chosen in manifest.groupby("clinic"):
            skin[clinic] = np.mean(
                [image[~mask].mean(axis=0) for image, mask in pictures(folder, chosen)], axis=0
            )
        university, centre, rural = (skin[clinic.name] for clinic in DEFAULT_CLINICS)
        assert np.abs(university - centre).max() > 8
        assert rural.mean() < min(university.mean(), centre.mean()) - 15
        assert centre[2] / centre[0] > university[2] / university[0] > rural[2] / rural[0]


class TestBadInput:
    def test_a_folder_in_use_is_unchanged(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(SettingsError, match="in use"):
            generate_dataset(tmp_path, seed=0)
        assert fingerprint(tmp_path).keys() == {"thesis.txt"}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"images": 0},
            {"class_mix": (0.0, 0.0, 0.0)},
            {"class_mix": (1.0, -0.1, 0.0)},
            {"phototypes": (0.0,) * 6},
            {"name": "rural_practice"},
        ],
    )
    def test_a_profile_that_cannot_be_used_is_named(self, tmp_path: Path, wrong: dict[str, object]) -> None:
        profiles = (replace(DEFAULT_CLINICS[0], **wrong), *DEFAULT_CLINICS[1:])  # type: ignore[arg-type]
        with pytest.raises(SettingsError):
            generate_dataset(tmp_path / "new", profiles=profiles, seed=0)
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(("seed", "image_size"), [(-1, 160), (0, 8)])
    def test_size_and_seed(self, tmp_path: Path, seed: int, image_size: int) -> None:
        with pytest.raises(SettingsError, match="too small"):
            generate_dataset(tmp_path / "new", seed=seed, image_size=image_size)
        assert not (tmp_path / "new").exists()


def _chroma(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The a* and b* of each pixel."""
    small = cv2.GaussianBlur(image, (0, 0), 1.5)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.float64)[..., 1:]


def _bright_dots(image: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> float:
    """Share of lesion pixels much brighter than their surroundings."""
    grey = cv2.GaussianBlur(image.mean(axis=2), (0, 0), 0.8)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 4) > 20)[mask].mean())


def _steepness(image: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> float:
    """Contrast within 2 pixels of the border over contrast within 8."""
    grey, inside = image.mean(axis=2), mask.astype(np.uint8)
    into = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)

    def contrast(low: float, high: float) -> float:
        rings = ((low < far) & (far <= high) for far in (out, into))
        outer, inner = (grey[ring].mean() for ring in rings)
        return float(outer - inner)

    return contrast(0, 2) / max(contrast(6, 8), 1.0)
