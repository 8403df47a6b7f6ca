"""The table of the study ``hostile``, and its rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.hostile import analyse
from dermafed.simulation.studies.study import read_study
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun
from tests.server.small_clinics import start_weights


def finished(folder: Path, rule: str, attack: str, score: float, notes: list[str]) -> StudyRun:
    settings = RunSettings(rule=rule, attack=None if attack == "none" else f"{attack}:graz")
    out = folder / rule / attack
    federated = out / "arms" / "federated"
    federated.mkdir(parents=True)
    history = tuple(
        HistoryRow(
            number, 1, 1, 1, 1, 1, 3, "", 4.0, 0, (ClinicRound("graz", note=note), ClinicRound("linz"))
        )
        for number, note in enumerate(notes, start=1)
    )
    save_state(federated, RunState(len(notes), start_weights(), {}, history, {}))
    write_history(federated, history)
    test = {"per_class": {"melanoma": {"auc": score + 0.1}}}
    content = {"federated": {"balanced_accuracy": score, "test": test}}
    if attack == "backdoor":
        content["backdoor"] = {"images": 50, "plain": 5, "patched": 20}
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun(f"{rule}, {attack}", settings, out)


def test_worked_example(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path, "none", "none", 0.7, ["", ""]),
        finished(tmp_path, "none", "backdoor", 0.65, ["", ""]),
        finished(tmp_path, "median", "none", 0.68, ["", ""]),
        finished(tmp_path, "median", "backdoor", 0.67, ["too long", ""]),
    ]
    lines = analyse(runs, tmp_path)
    assert [line["lost"] for line in lines] == pytest.approx([0, 0.05, 0, 0.01])
    assert [line["noticed"] for line in lines] == [None, 0, None, 0.5]
    assert [line["backdoor"] for line in lines] == [None, 0.4, None, 0.4]
    assert [line["plain"] for line in lines] == [None, 0.1, None, 0.1]
    assert lines[3]["auc"] == pytest.approx(0.77)
    assert (lines[3]["defence"], lines[3]["figure"]) == ("median", "under backdoor")
    assert lines[3]["seconds"] == 4
    text = (tmp_path / "hostile.md").read_text()
    assert "| median | backdoor | 0.670 | 0.010 | 0.770 | 0.40 | 0.10 | 0.50 | 4.0 |" in text


def test_every_rule_is_in_the_study_with_and_without_attacks() -> None:
    rows = read_study("hostile", {"data": "images"}).rows
    in_sums = {name for name, settings in rows.items() if settings.privacy().is_secure}
    for name, settings in rows.items():
        attack = settings.parsed_attack()
        assert name.endswith(f", {attack.kind if attack else 'none'}")
        assert name in in_sums or name.startswith(f"{settings.rule}, ")
        assert settings.refit == "none"
    rules = Counter(settings.rule for name, settings in rows.items() if name not in in_sums)
    holding = {"none": 8, "median": 8, "trimmed-mean": 6, "krum": 6}
    assert rules == holding | dict.fromkeys(("norm-bound", "geometric-median", "centred-clipping"), 3)
    assert Counter(rows[name].rule for name in in_sums) == {"none": 2, "median": 4}
