"""The explain query over real Flower messages: metrics come back, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from flwr.app import Context, Message, MetricRecord, RecordDict

from dermafed.client.node.client_app import QualityOf, build_client_app
from dermafed.client.node.explanation_quality import (
    ClinicExplanationQuality,
    build_explanation_quality,
    evenly_spaced,
)
from dermafed.server.rounds.exchange import Assignment, exchange
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.run_explanations import EXPLANATIONS_FILE, measure_explanations
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.maps import Explain, Float, Predict
from dermafed.shared.explain.quality.localisation import pixel_precision
from dermafed.shared.explain.quality.quality_sums import MEASURES, ExplanationQuality
from dermafed.shared.explain.quality.scoring import explanation_quality
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import read_clinic_split, write_clinic_split
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.protocol.explanation_messages import (
    decode_explanation_quality,
    encode_explanation_quality,
)
from dermafed.shared.protocol.messages import EXPLAIN_QUERY, encode_instruction
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.predict import loaded_classifier
from dermafed.simulation.engines.local import LocalGrid, become_server_task, run_local
from tests.server.small_clinics import PARAMETERS, server, start_weights, trainer_for
from tests.shared.explain.quality.toy_models import darkness, random_image, redness
from tests.shared.training.tiny import CLASSES, plain, start, tiny, tiny_backbones

NAMES = ("vienna", "graz", "linz")
IMAGES = {"vienna": 6, "graz": 3, "linz": 8}
RULES = RoundRules(rounds=1, clinics=3, deadline=30, connect_seconds=0)


@cache
def measured(clinic: str) -> ExplanationQuality:
    """The clinic's own pictures, whatever the model; graz has too few."""
    seeds = range(100 * NAMES.index(clinic), 100 * NAMES.index(clinic) + IMAGES[clinic])
    return explanation_quality(darkness, redness, [(random_image(seed), None) for seed in seeds])


def quality_for(context: Context) -> QualityOf:
    clinic = NAMES[int(context.node_config["partition-id"])]
    return lambda weights, round: measured(clinic)


def grid() -> LocalGrid:
    become_server_task()
    return LocalGrid(build_client_app(trainer_for, quality_for), NAMES)


def test_a_reply_has_named_metrics_only() -> None:
    replies: list[RecordDict] = []
    content = encode_instruction(start_weights(), 2, {})

    def add_reply(clinic: str, reply: RecordDict) -> float:
        replies.append(reply)
        return 0.0

    exchange(grid(), Assignment(EXPLAIN_QUERY, 2, content), {1000: "vienna", 1002: "linz"}, 30, add_reply)
    allowed = {"images", *(f"{name}.{part}" for name in MEASURES for part in ("count", "sum", "squares"))}
    assert len(replies) == 2
    for reply in replies:
        assert set(reply) == {"figures", "report"}
        assert all(isinstance(record, MetricRecord) for record in reply.values())
        assert set(reply["figures"]) <= allowed
        assert set(reply["report"]) == {"seconds"}
        assert {type(value) for record in reply.values() for value in record.values()} == {float}
        assert sum(len(name) + 8 for record in reply.values() for name in record) < 1000


def test_clinics_are_merged_and_the_small_one_is_left_out() -> None:
    found = measure_explanations(grid(), start_weights(), 2, RULES)
    assert list(found.clinics) == ["linz", "vienna"]
    assert found.clinics["vienna"] == measured("vienna")
    assert found.left_out == {"graz": "explanation failed there (DatasetError); its own log says why"}
    content = found.to_dict()
    assert content["all"]["images"] == 14
    whole = measured("linz") + measured("vienna")
    assert content["all"]["measures"]["drop"]["mean"] == whole.moments["drop"].mean


def test_a_run_asks_for_explanations_after_its_last_round_if_configured(tmp_path: Path) -> None:
    client = build_client_app(trainer_for, quality_for)
    run_local(server(tmp_path / "silent", rounds=1), client, NAMES)
    assert not (tmp_path / "silent" / EXPLANATIONS_FILE).exists()
    run_local(server(tmp_path / "asking", rounds=2, explain=True), client, NAMES)
    content = json.loads((tmp_path / "asking" / EXPLANATIONS_FILE).read_text("utf-8"))
    assert content["round"] == 2
    assert set(content["clinics"]) == {"linz", "vienna"}


def test_clinics_that_do_not_measure_refuse(tmp_path: Path) -> None:
    run_local(server(tmp_path, rounds=1, explain=True), build_client_app(trainer_for), NAMES)
    content = json.loads((tmp_path / EXPLANATIONS_FILE).read_text("utf-8"))
    assert content["all"] is None
    assert set(content["left_out"]) == set(NAMES)
    assert "FederationError" in content["left_out"]["graz"]


def test_a_reply_with_anything_else_is_refused() -> None:
    content = encode_explanation_quality(measured("linz"), 1.5)
    assert decode_explanation_quality(content) == (measured("linz"), 1.5)
    metrics = measured("linz").to_flat()
    content["figures"] = MetricRecord({**metrics, "map": [0.5] * 49})
    with pytest.raises(FederationError, match="'map' is not a number"):
        decode_explanation_quality(content)
    content["figures"] = MetricRecord({**metrics, "ISIC_0024306": 0.5})
    with pytest.raises(FederationError, match="unknown"):
        decode_explanation_quality(content)
    del content["figures"]
    with pytest.raises(FederationError, match="'figures' is missing"):
        decode_explanation_quality(content)


PREPROCESS = PreprocessSettings(image_size=32, denoise="none", clahe=False, clahe_grid=4)
PLAN = Plan(tiny(), PREPROCESS, plain(epochs=1), rounds=2, class_counts=(4, 4, 4), seed=5)


def explain_for(model: keras.Model) -> tuple[Explain, Predict]:
    assert model.name == "classifier"
    return darkness, Explainer(model, engine="tensorflow").predict


@pytest.fixture
def clinic_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A clinic with nine validation images."""
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    made = []
    for i in range(9):
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), random_image(i, 40))
        made.append(LesionRecord(path.stem, path, CLASSES[i % 3]))
    write_clinic_split(tmp_path / "Graz", Splits((), tuple(made), ()))
    with tiny_backbones():
        yield tmp_path / "Graz"


@pytest.mark.parametrize("changes", [{}, {"metadata": True}])
def test_a_clinic_measures_on_its_validation_images(
    clinic_folder: Path, tmp_path: Path, changes: dict[str, bool]
) -> None:
    plan = replace(PLAN, model=tiny(**changes))
    quality_of = build_explanation_quality(clinic_folder, plan, tmp_path / "state", explain_for, images=6)
    weights = start(plan.model)
    quality = quality_of(weights, 1)
    assert quality.images == 6
    assert quality_of(weights, 2) == quality
    classifier = loaded_classifier(plan.model, weights)

    def predict(images: Float) -> Float:
        unknown = [np.zeros((len(images), *extra.shape[1:])) for extra in classifier.inputs[1:]]
        return np.asarray(classifier.predict_on_batch([images, *unknown]))

    expected = explanation_quality(darkness, predict, quality_of.images).to_flat()
    assert quality.to_flat() == pytest.approx(expected, rel=1e-4)
    assert len(build_explanation_quality(clinic_folder, plan, tmp_path / "state", explain_for).images) == 9


def test_bad_numbers_of_images(clinic_folder: Path, tmp_path: Path) -> None:
    for images in (4, 10**6):
        with pytest.raises(SettingsError, match="are out of range"):
            build_explanation_quality(clinic_folder, PLAN, tmp_path, explain_for, images=images)


def test_masks_make_pointing(clinic_folder: Path) -> None:
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True
    pictures = [(random_image(seed, 32), mask) for seed in range(5)]
    quality = ClinicExplanationQuality(PLAN.model, pictures, explain_for)(start(PLAN.model), 1)
    assert quality.moments["pointing_chance"].mean == 0.25


def test_maps_that_do_not_look_are_made_of_training_masks(clinic_folder: Path, tmp_path: Path) -> None:
    validation = read_clinic_split(clinic_folder).splits.validation
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 5:15] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    found = [replace(record, mask=tmp_path / "mask.png") for record in validation]
    write_clinic_split(tmp_path / "Linz", Splits(tuple(found[:4]), tuple(found[4:]), ()))
    made = build_explanation_quality(tmp_path / "Linz", PLAN, tmp_path / "state", explain_for)
    assert made.nulls is not None
    expected = lesion_mask(tmp_path / "mask.png", PREPROCESS)
    np.testing.assert_array_equal(made.nulls.mean_mask, expected)
    moments = made(start(PLAN.model), 1).moments
    assert moments["pixel_precision_mean_mask"].mean == 1, "all lesions of this clinic are in one place"
    assert moments["pixel_precision_blob"].mean == pytest.approx(pixel_precision(made.nulls.blob(), expected))
    assert moments["pixel_precision"].mean < 1
    assert build_explanation_quality(clinic_folder, PLAN, tmp_path / "state", explain_for).nulls is None


def test_evenly_spaced() -> None:
    records = [LesionRecord(str(i), Path(f"{i}.png"), "nevus") for i in range(9)]
    assert [record.image_id for record in evenly_spaced(records, 3)] == ["0", "4", "8"]
    assert evenly_spaced(records, 20) == records
    assert evenly_spaced([], 20) == []


def test_the_query_is_routed_by_flower() -> None:
    message = Message(encode_instruction(np.zeros(PARAMETERS, np.float32), 1, {}), 1000, EXPLAIN_QUERY)
    assert message.metadata.message_type == "query.explain"
