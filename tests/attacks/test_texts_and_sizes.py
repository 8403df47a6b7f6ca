"""A clinic that writes what it likes into log, screen and history, or sends more than was asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict

from dermafed.server.rounds.history import read_history
from dermafed.shared.errors import FederationError
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.agreement import (
    Answer,
    Decision,
    decode_answer,
    decode_ready,
    encode_answer,
    encode_ready,
    installed_versions,
)
from dermafed.shared.protocol.calibration_messages import decode_calibration_sums, encode_calibration_sums
from dermafed.shared.protocol.explanation_messages import (
    decode_explanation_quality,
    encode_explanation_quality,
)
from dermafed.shared.protocol.messages import (
    decode_evaluation,
    decode_update,
    encode_evaluation,
    encode_update,
)
from dermafed.shared.training.trainer import Update
from tests.attacks.hostile_clinic import MEMBERS, app_of, run
from tests.server.small_clinics import PARAMETERS

EVIL = "\x1b[2J\x1b]0;owned\x07\nRun 1: finished\r\u202e"
LONG = "x" * 2**20
WEIGHTS = np.zeros(PARAMETERS, np.float32)
LABELS = np.arange(12) % 3
SCORES = np.full((12, 3), 1 / 3)


def update() -> RecordDict:
    return encode_update(Update(WEIGHTS, MEMBERS["graz"].weight, {"loss": 1.0}), 0.0)


def evaluation() -> RecordDict:
    return encode_evaluation(ClinicEvaluation.from_predictions(LABELS, SCORES), 0.0)


def answer() -> RecordDict:
    versions = installed_versions()
    return encode_answer(
        Answer(Decision.APPROVED, versions=versions, class_counts=np.array([1, 2, 3], np.int64))
    )


REPLIES: dict[str, tuple[Callable[[], RecordDict], Callable[[RecordDict], object]]] = {
    "update": (update, lambda content: decode_update(content, PARAMETERS)),
    "evaluation": (evaluation, lambda content: decode_evaluation(content, 3)),
    "answer": (answer, lambda content: decode_answer(content, 3)),
    "ready": (lambda: encode_ready(1.0), decode_ready),
    "explanation": (
        lambda: encode_explanation_quality(ExplanationQuality.from_scores([{"drop": 0.5}] * 6), 1.0),
        decode_explanation_quality,
    ),
    "calibration": (
        lambda: encode_calibration_sums(CalibrationSums.of(np.zeros((12, 3)), LABELS), 1.0),
        lambda content: decode_calibration_sums(content, 3),
    ),
}


def extra_records(content: RecordDict, name: str) -> RecordDict:
    content[name] = ConfigRecord({"text": LONG})
    return content


def extra_fields(content: RecordDict, name: str) -> RecordDict:
    record = next(each for each in content.values() if isinstance(each, MetricRecord | ConfigRecord))
    record[name] = 1.0
    return content


def extra_arrays(content: RecordDict, name: str) -> RecordDict:
    record = next((each for each in content.values() if isinstance(each, ArrayRecord)), None)
    if record is None:
        content["counts"] = record = ArrayRecord()
    record[name] = Array(np.zeros(2**20))
    return content


def check_harmless(text: str) -> None:
    assert len(text) < 300
    assert text.isprintable()


@pytest.mark.parametrize("kind", REPLIES)
@pytest.mark.parametrize("spoil", [extra_records, extra_fields, extra_arrays])
@pytest.mark.parametrize("name", ["more", EVIL, LONG], ids=["more", "escapes", "megabyte"])
def test_a_reply_has_known_fields_only(
    kind: str, spoil: Callable[[RecordDict, str], RecordDict], name: str
) -> None:
    make, decode = REPLIES[kind]
    decode(make())  # as it is, it is accepted
    with pytest.raises(FederationError) as caught:
        decode(spoil(make(), name))
    check_harmless(caught.value.what)


def named(record: str, **fields: float) -> Callable[[], RecordDict]:
    def make() -> RecordDict:
        content = update()
        content[record] = MetricRecord(fields)
        return content

    return make


def of_dtype(dtype: str, shape: tuple[int, ...] = (PARAMETERS,)) -> Callable[[], RecordDict]:
    def make() -> RecordDict:
        content = update()
        content["weights"] = ArrayRecord(
            {"weights": Array(dtype, shape, "numpy.ndarray", Array(WEIGHTS).data)}
        )
        return content

    return make


def with_header(dtype: str) -> Callable[[], RecordDict]:
    """The array's own header says another dtype, with names of fields."""

    def make() -> RecordDict:
        content = update()
        inside = Array(np.zeros(1, np.dtype([(dtype, "f4")]))).data
        content["weights"] = ArrayRecord(
            {"weights": Array("float32", (PARAMETERS,), "numpy.ndarray", inside)}
        )
        return content

    return make


TEXTS: dict[str, Callable[[], RecordDict | Error]] = {
    "metric names": named("metrics", **{EVIL: 1.0}),
    "a long metric name": named("metrics", **{LONG: 1.0}),
    "dtype": of_dtype(EVIL),
    "a long dtype": of_dtype(LONG),
    "many dimensions": of_dtype("float32", (1,) * 100_000),
    "a huge dimension": of_dtype("float32", (2**62,)),
    "dtype inside": with_header("owned\x1b[2J"),
    "type of an error": lambda: Error(1001, EVIL),
    "a long type of an error": lambda: Error(1001, LONG),
    "letters that are no ASCII": lambda: Error(1001, "Ünïcödé\u3164"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_no_text_of_a_clinic_reaches_log_or_history(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def forge(message: Message) -> Message:
        return Message(TEXTS[name](), reply_to=message)

    caplog.set_level("INFO", "dermafed.server")
    state = run(tmp_path, app_of(train=forge))
    (row,) = state.history
    assert row.replied == 2
    assert row.left_out.startswith("graz: ")
    check_harmless(row.left_out)
    for record in caplog.records:
        if record.name == "dermafed.server":
            check_harmless(record.getMessage())
    assert repr(read_history(tmp_path)) == repr([row])
    assert (tmp_path / "history.csv").stat().st_size < 2000


def test_the_history_writes_what_a_decoder_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: nothing after the decoders would hold such a text back."""

    def quote(content: RecordDict, parameters: int) -> None:
        raise FederationError(f"its metric '{EVIL}' is odd")

    monkeypatch.setattr("dermafed.server.rounds.trained_models.decode_update", quote)
    with pytest.raises(FederationError, match="owned"):
        run(tmp_path, app_of())


@pytest.mark.parametrize("text", [EVIL, LONG, "1.0\n", "１.０", ""])
def test_versions_are_plain_and_short(text: str) -> None:
    content = answer()
    record = content["answer"]
    assert isinstance(record, ConfigRecord)
    record["version.dermafed"] = text
    if text == "":
        assert decode_answer(content, 3).versions["dermafed"] == ""
        return
    with pytest.raises(FederationError, match=r"'version\.dermafed' is not printable"):
        decode_answer(content, 3)
