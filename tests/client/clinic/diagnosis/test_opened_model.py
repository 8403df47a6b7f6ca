"""A model that was trained on drawn images is known as such, whatever wrote it."""

from __future__ import annotations

import json
from pathlib import Path

from dermafed.client.clinic.diagnosis.opened_model import _simulated_on_drawn, _trained_on_drawn
from dermafed.client.node.home import make_home
from dermafed.client.node.saved_models import SavedModel
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings


def card(**data: object) -> ModelInfo:
    return ModelInfo(ModelSettings(("melanoma", "nevus")), PreprocessSettings(), "none", 1, data=dict(data))


def test_a_card_says_so() -> None:
    assert card(synthetic=True).synthetic
    assert not card(clinics=["graz"], training_images={"nevus": 3}).synthetic


def test_the_result_of_an_older_simulation_says_so(tmp_path: Path) -> None:
    for data, drawn in (("synthetic", True), ("/srv/synthetic", False), (None, False)):
        settings = None if data is None else {"data": data}
        (tmp_path / "result.json").write_text(json.dumps({"settings": settings}))
        assert _simulated_on_drawn(tmp_path / "model.keras") == drawn
    assert not _simulated_on_drawn(tmp_path / "none" / "model.keras")


def test_a_clinics_own_drawn_images_say_so(tmp_path: Path) -> None:
    home = make_home(tmp_path / "graz", "graz", tmp_path)
    for hash, names, drawn in (
        ("1f0c2d3e", ("SYN_L100001_0", "SYN_L100002_0"), True),
        ("2f0c2d3e", ("SYN_L100001_0", "ISIC_0024306"), False),
        ("3f0c2d3e", (), False),
    ):
        records = tuple(LesionRecord(name, tmp_path / name, "nevus") for name in names)
        write_clinic_split(home.offers / f"{hash}ab" / "site" / "graz", Splits(records, (), ()))
        saved = SavedModel(f"alps-1-{hash}", tmp_path, card())
        assert _trained_on_drawn(saved, home) == drawn
    assert not _trained_on_drawn(SavedModel("alps-4f0c2d3e", tmp_path, card()), home)
