from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from dermafed.shared.errors import ModelError
from dermafed.shared.metrics.calibration.calibration import Trust
from dermafed.shared.metrics.calibration.calibration_file import load_trust, save_trust, trust_files
from dermafed.shared.metrics.calibration.out_of_distribution import Outside
from tests.shared.metrics.calibration.making import drawn, fitted
from tests.shared.metrics.calibration.test_outside import K, features

SHA = "0" * 64


def with_rule() -> Trust:
    return replace(fitted(), rule=Outside.fit(features(100, 0), features(50, 1)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model.keras"


def test_the_methods_of_one_image(model: Path) -> None:
    trust, (logits, _) = with_rule(), drawn(1, 9)
    probabilities = trust.probabilities(logits[0])
    assert probabilities == pytest.approx(softmax(logits[0].astype(float) / trust.sums.temperature))
    assert trust.unsure(np.array([0.34, 0.33, 0.33]))
    assert not trust.unsure(np.array([1.0, 0.0, 0.0]))
    near, far = np.full(K, 3, np.float32), np.eye(K, dtype=np.float32)[0]
    assert [trust.outside(trust.outside_score(logits[0], each) or 0) for each in (near, far)] == [False, True]
    alone = fitted()
    assert alone.outside_score(logits[0], near) is None
    assert not alone.outside(1e9)


def test_what_was_written_is_read_again(model: Path) -> None:
    written = with_rule()
    save_trust(model, written)
    read = load_trust(model, SHA)
    assert read is not None
    assert read.rule is not None
    assert written.rule is not None
    logits, image = drawn(1, 9)[0][0], features(1, 3)[0]
    assert (read.probabilities(logits) == written.probabilities(logits)).all()
    assert read.outside_score(logits, image) == written.outside_score(logits, image)
    assert read.rule.threshold == written.rule.threshold
    assert read.selection == written.selection
    assert read.sums.after.error == written.sums.after.error
    assert {path.stat().st_mode & 0o777 for path in trust_files(model)} == {0o600}


def test_without_a_rule_there_are_no_arrays(model: Path) -> None:
    save_trust(model, fitted())
    read = load_trust(model, SHA)
    assert read is not None
    assert read.rule is None
    assert not trust_files(model)[1].exists()


def test_no_file_is_no_trust(model: Path) -> None:
    assert load_trust(model, SHA) is None


def test_the_file_tells_the_figures_before_and_after(model: Path) -> None:
    save_trust(model, trust := with_rule())
    told = json.loads(trust_files(model)[0].read_text())["figures"]
    assert told["images"] == 400
    assert told["before"]["expected_calibration_error"] == trust.sums.before.error
    assert told["after"]["log_loss"] < told["before"]["log_loss"]
    assert sum(bar["images"] for bar in told["after"]["bins"]) == 400
    assert told["unsure"]["coverage"] >= 0.8


def test_another_models_file_is_refused(model: Path) -> None:
    save_trust(model, fitted())
    with pytest.raises(ModelError, match="another model"):
        load_trust(model, "1" * 64)


def change(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        values = values[name]
    if value is None:
        del values[last]
    else:
        values[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", 2),
        ("sums", None),
        ("sums.temperature", "warm"),
        ("sums.temperature", -1.0),
        ("sums.losses", [1.0] * 3),
        ("sums.after.images", [[1.5]]),
        ("sums.after.correct", [[10**9] * 60] * 3),
        ("classes", ["melanoma"]),
        ("clinics", 0),
        ("outside.sha256", "f" * 64),
        ("outside.threshold", float("inf")),
    ],
)
def test_a_damaged_file_is_refused(model: Path, path: str, value: Any) -> None:
    save_trust(model, with_rule())
    file = trust_files(model)[0]
    values = json.loads(file.read_text())
    change(values, path, value)
    file.write_text(json.dumps(values))
    with pytest.raises(ModelError, match="cannot be read"):
        load_trust(model, SHA)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"format": 1}'])
def test_a_file_of_something_else_is_refused(model: Path, content: bytes) -> None:
    trust_files(model)[0].write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read"):
        load_trust(model, SHA)


def test_arrays_that_are_gone_or_damaged_are_named(model: Path) -> None:
    save_trust(model, with_rule())
    arrays = trust_files(model)[1]
    arrays.write_bytes(arrays.read_bytes()[:-10])
    with pytest.raises(ModelError, match="cannot be read"):
        load_trust(model, SHA)
    arrays.unlink()
    with pytest.raises(ModelError, match="missing") as refused:
        load_trust(model, SHA)
    assert refused.value.where == str(arrays)
