"""``fl-server models card`` on a federation's run and on a simulation."""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from dermafed.server import cli
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import save_answer, save_round
from dermafed.server.record.runs_table import save_class_counts
from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.first_weights import START_FILE
from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.server.rounds.run_calibration import ClinicsCalibration
from dermafed.server.rounds.run_explanations import ClinicsExplanations
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.shared.metrics.calibration.calibration import Calibration
from tests.commands.small_datasets import Outcome, command
from tests.commands.test_coordinator import PLAN
from tests.server.example_keys import KEY
from tests.server.model_card.simulated_run import WEIGHTS, simulation
from tests.shared.metrics.calibration.sample_calibration import fitted


class Coordinator:
    """Types commands in the folder of a federation with the run ``spring``, asked of Graz and Linz."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.folder = Path("runs/0001-spring")

    def __call__(self, *arguments: object) -> Outcome:
        return command(cli.main, self._capsys, *arguments)

    def train(self) -> None:
        """Two rounds, of Graz alone: Linz refused."""
        record, history = Record(Path("record.db")), ()
        self.folder.mkdir()
        start = io.BytesIO()
        np.savez(start, weights=WEIGHTS, adapted=WEIGHTS > 0, origin=np.array("imagenet"))
        (self.folder / START_FILE).write_bytes(start.getvalue())
        for number, score in ((1, 0.7), (2, 0.6)):
            row = HistoryRow(number, 1.5, 1.0, 0.5, score, math.nan, 1, "", 3.0, 0.1)
            history = (*history, row)
            save_state(self.folder, RunState(number, WEIGHTS * number, {}, history, {}))
            save_round(record, 1, row)
        write_history(self.folder, history)
        save_answer(record, 1, "graz", "approved", "")
        save_answer(record, 1, "linz", "refused", "no time")
        save_class_counts(record, 1, (40, 50, 60))

    def measured(self, round: int) -> None:
        """Calibration and explanations of a round's model."""
        digest = hashlib.sha256((WEIGHTS * round).tobytes()).hexdigest()
        calibration = Calibration(digest, PAPER_CLASSES, fitted().sums, clinics=3)
        ClinicsCalibration(round, calibration, {}, {}).save(self.folder)
        quality = ExplanationQuality.from_scores([{"deletion": 0.2}] * 5 + [{"deletion": 0.4}] * 5)
        ClinicsExplanations(round, {"graz": quality}, {}).save(self.folder)


@pytest.fixture
def fl_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Coordinator:
    run = Coordinator(capsys)
    assert run("init", tmp_path / "alps", "--host", "a.example.org").code == 0
    monkeypatch.chdir(tmp_path / "alps")
    (tmp_path / "graz.pub").write_text(f"{KEY} someone@graz\n")
    (tmp_path / "plan.toml").write_text(PLAN)
    assert run("enrol", "graz", "../graz.pub").code == 0
    assert run("train", "../plan.toml").code == 0
    return run


def test_the_card_of_a_federations_run_has_the_coordinators_facts(fl_server: Coordinator) -> None:
    fl_server.train()
    done = fl_server("models", "card", "spring", "--out", "card")
    assert (done.code, done.out) == (0, ""), done.err
    card = ModelCard.load(Path("card/card.md"))
    assert {(line.metric_type, line.metric_value) for line in card.data.eval_results} == {
        ("balanced_accuracy", 0.6),
        ("accuracy", 0.5),
    }
    assert {line.dataset_split for line in card.data.eval_results} == {"validation"}
    assert "| graz | not published |" in card.text
    assert "linz" not in card.text
    assert "| melanoma | 40 |" in card.text
    assert "| 0.600 | 0.500 | – | 1.000 |" in card.text
    assert "do not rely on a probability of this model" in card.text


@pytest.mark.parametrize(("round", "published"), [(2, True), (1, False)])
def test_only_what_was_measured_of_the_last_model_is_published(
    fl_server: Coordinator, round: int, published: bool
) -> None:
    fl_server.train()
    fl_server.measured(round)
    assert fl_server("models", "card", "1", "--out", "card").code == 0
    text = Path("card/card.md").read_text("utf-8")
    error = fitted().sums.before.error
    assert (f"| as predicted | {error:.3f} (" in text) is published
    assert ("| deletion | 0.300 (" in text) is published


def test_a_run_without_a_round_and_damage_are_refused(fl_server: Coordinator) -> None:
    done = fl_server("models", "card", "spring")
    assert (done.code, "No round of the run 'spring' is finished" in done.err) == (2, True)
    fl_server.train()
    (fl_server.folder / "explanations.json").write_text("[]")
    done = fl_server("models", "card", "spring")
    assert (done.code, "explanations cannot be read" in done.err) == (1, True)
    assert not Path("card-spring").exists()


def test_a_card_that_somebody_completed_is_not_overwritten(fl_server: Coordinator, tmp_path: Path) -> None:
    run = simulation(tmp_path / "simulated")
    written = fl_server("models", "card", run, "--json")
    card, page, checklists = (
        Path("card-simulated", name) for name in ("card.md", "card.html", "checklists.md")
    )
    assert json.loads(written.out) == {
        "markdown": str(card),
        "html": str(page),
        "checklists": str(checklists),
    }
    for mine in (card, checklists):
        for other in {card, page, checklists} - {mine}:
            other.unlink(missing_ok=True)
        mine.write_text("mine")
        done = fl_server("models", "card", run)
        assert (done.code, "There is already a card" in done.err) == (2, True)
        assert mine.read_text() == "mine"


def test_models_are_listed_unless_a_command_is_named(fl_server: Coordinator) -> None:
    fl_server.train()
    listed = fl_server("models", "list", "spring", "--json")
    assert listed.code == 0
    for arguments in (("spring", "--json"), ("--json", "spring"), ("--dir", ".", "1", "--json")):
        assert fl_server("models", *arguments) == listed
    assert fl_server("models", "--help").code == 0
    assert fl_server("models").code == 2
