"""A federation of real processes fits the scale and offsets that its clinics' images in one place give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dermafed.client.clinic.diagnosis.opened_model import OpenedModel, open_model
from dermafed.client.evaluation.calibrate import own_images
from dermafed.client.node.home import open_home
from dermafed.server.rounds.run_calibration import load_run_calibration
from dermafed.shared.imaging.cache import PreprocessCache
from dermafed.shared.metrics.calibration.calibration_file import load_calibration
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs, network_outputs
from dermafed.shared.metrics.evaluation import of_common_classes
from dermafed.shared.training.data import label_images
from tests.commands.small_datasets import draw_dataset
from tests.journeys.whole_run import WholeRun, whole_run
from tests.shared.metrics.calibration.test_offset_fit import by_scipy

pytestmark = pytest.mark.slow

CLINICS = ("north", "south")
PLAN = """
name = "first"
rounds = 1
weights = "none"
threads = 1
[model]
image_size = 32
frozen_blocks = 6
[training]
epochs = 0.25
[rules]
deadline = "1h"
approval = "1h"
wait = "1h"
"""


def validation_outputs(run: WholeRun, clinic: str) -> tuple[NetworkOutputs, OpenedModel]:
    """The saved model's outputs for the clinic's validation images, and the model."""
    home = open_home(run.home(clinic))
    model = open_model("last", home)
    records = own_images(model, home).splits.validation
    cache = PreprocessCache(run.folder / "clinics" / "cache")
    images = cache.load([record.path for record in records], model.card.preprocess).images
    return network_outputs(model.classifier, label_images(records, images, model.card.model)), model


def test_offsets_by_sums_are_those_of_all_images(tmp_path: Path) -> None:
    with whole_run(tmp_path / "run") as run:
        data = {
            name: draw_dataset(run.folder / "clinics" / name / "data", [name], lesions=60) for name in CLINICS
        }
        run.start_all(PLAN, data)
        assert run.finished_run()["status"] == "finished"
        calibration = load_run_calibration(run.server / "runs" / "0001-first")
        assert calibration is not None
        fitted = calibration.federation
        assert fitted is not None
        assert (fitted.clinics, fitted.converged) == (2, True)
        pooled = []
        for name in CLINICS:
            outputs, model = validation_outputs(run, name)
            common = of_common_classes(outputs.labels)
            pooled.append((outputs.logits[common], outputs.labels[common]))
            saved = load_calibration(model.file, model.used.sha256)
            assert saved is not None
            assert saved.own is not None
            assert saved.federation == fitted
            queries = [line["kind"] for line in json.loads(run.clinic(name, "audit", "--json"))]
            assert queries.count("query.offsets") == fitted.points
            assert queries.count("query.scores") == 1
            # The clinic's alert is there without a further command.
            assert saved.scores is not None
            assert saved.alert is not None
        logits, labels = (np.concatenate(each) for each in zip(*pooled, strict=True))
        assert fitted.images == len(labels)
        # The clinics' processes compute float32 logits with other threads.
        none = ClassOffsets.none(len(calibration.classes))
        assert fitted.point.vector == pytest.approx(by_scipy((logits, labels), none), abs=1e-4)
