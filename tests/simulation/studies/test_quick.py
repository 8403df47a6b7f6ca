"""Every study's quick form asks for what the synthetic lesions have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.simulation.runs.default_settings import SYNTHETIC
from dermafed.simulation.runs.prepare import prepare
from dermafed.simulation.runs.run_settings import check_settings
from dermafed.simulation.studies.study import read_study, study_names
from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
from dermafed.simulation.synthetic.dataset import generate_dataset


@pytest.fixture(scope="module")
def lesions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lesions") / "data"
    few = [replace(clinic, images=clinic.images // 4) for clinic in DEFAULT_CLINICS]
    generate_dataset(folder, profiles=few, seed=0, image_size=32)
    return folder


@pytest.mark.parametrize("name", study_names())
def test_all_rows_of_the_quick_form_find_their_clinics_and_classes(
    name: str, lesions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path))
    for settings in read_study(name, {}, quick=True).rows.values():
        assert settings.data == SYNTHETIC
        check_settings(settings)
        plain = replace(settings, denoise="none", image_size=32)
        found = prepare(lesions, plain, plain.preprocess())
        assert all(count for clinic in found.clinics for count in map(len, clinic.splits.sides().values()))
        assert min(found.class_counts()) > 0
