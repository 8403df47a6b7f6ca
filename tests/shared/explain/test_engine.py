"""The engines: the same scores by each, TensorFlow where OpenVINO is missing, and no telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dermafed.shared.errors import SettingsError
from dermafed.shared.explain.engine import masked_model
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.network import open_network
from tests.shared.explain.small_networks import CELLS, small_classifier, small_image

MASKS = np.random.default_rng(0).uniform(0, 1, (19, CELLS, CELLS)).astype(np.float32)
IMAGE, FILL = (small_image(seed).astype(np.float32) for seed in (1, 2))


def test_both_engines_give_the_same() -> None:
    pytest.importorskip("openvino")
    engines = [
        Explainer(small_classifier(), engine=name).opened.engine for name in ("openvino", "tensorflow")
    ]
    assert [engine.name for engine in engines] == ["openvino", "tensorflow"]
    one, other = (engine.run(MASKS, IMAGE, FILL) for engine in engines)
    assert one.logits.shape == (19, 3)
    assert one.logits == pytest.approx(other.logits, abs=1e-4)
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    batch = np.stack([IMAGE, IMAGE[::-1], FILL])
    assert engines[0].predict(batch).logits == pytest.approx(engines[1].predict(batch).logits, abs=1e-4)
    assert engines[0].predict(batch).probabilities[:1] == pytest.approx(
        engines[0].forward(IMAGE)[1].probabilities, abs=1e-5
    )
    (maps, seen), (other_maps, other_seen) = (engine.forward(IMAGE) for engine in engines)
    assert maps == pytest.approx(other_maps, abs=1e-4)
    assert seen.logits == pytest.approx(other_seen.logits, abs=1e-4)


def test_openvino_calculates_in_float32_where_the_processor_has_less_precise_numbers_too() -> None:
    openvino = pytest.importorskip("openvino")
    from dermafed.shared.explain.engine import compiled_model

    network = open_network(small_classifier())
    compiled = compiled_model(masked_model(network), network)
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32


def test_a_half_open_mask_mixes_image_and_fill() -> None:
    classifier = small_classifier()
    engine = Explainer(classifier, engine="tensorflow").opened.engine
    masks = np.stack([np.full((CELLS, CELLS), share, np.float32) for share in (0, 0.25, 1)])
    mixed = np.stack([FILL, 0.25 * IMAGE + 0.75 * FILL, IMAGE])
    expected = np.asarray(classifier(mixed, training=False))
    assert engine.run(masks, IMAGE, FILL).probabilities == pytest.approx(expected, abs=1e-5)


def test_tensorflow_takes_over_where_openvino_is_missing_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert Explainer(small_classifier()).opened.engine.name == "tensorflow"
    with pytest.raises(SettingsError, match=r"dermafed\[explain\]"):
        _ = Explainer(small_classifier(), engine="openvino").opened.engine
    with pytest.raises(SettingsError, match="openvino or tensorflow"):
        _ = Explainer(small_classifier(), engine="torch").opened.engine


def test_openvino_sends_no_telemetry(tmp_path: Path) -> None:
    """Its telemetry package writes an identifier under HOME, and sends an event, when it is imported."""
    pytest.importorskip("openvino")
    program = (
        "import sys; from dermafed.shared.explain.engine import _openvino; _openvino();"
        "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "CI": ""}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert not (tmp_path / "intel").exists()
