"""An audit as text: worked cells, hidden ones, and the same in the report, the card and on the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dermafed.server import cli
from dermafed.server.model_card.card_writer import card_text
from dermafed.server.model_card.run_facts import simulated_facts
from dermafed.server.rounds.checkpoint import federated_folder
from dermafed.server.rounds.run_audit import ClinicsAudit
from dermafed.shared.artefacts.artefacts import CHANGES
from dermafed.shared.metrics.intervals import clopper_pearson
from dermafed.shared.report.audit_tables import audit_tables, counted
from tests.commands.small_datasets import command
from tests.server.model_card.simulated_run import simulation
from tests.server.model_card.test_card_writer import HOSTILE, cells
from tests.shared.metrics.shortcuts.sample_audit import sample_sums

SUMS = {"graz": sample_sums(0), "linz": sample_sums(1)}
AUDIT = ClinicsAudit(2, SUMS, {"wien": "no lesions"})


def test_worked_cells() -> None:
    found = AUDIT.to_dict()
    flips, *_, auc = audit_tables(found)
    assert flips.columns == ("all clinics", "graz", "linz")
    assert [name for name, _ in flips.rows] == [change.title for change in CHANGES.values()]
    flipped, lesions = int(SUMS["graz"].flips[0, 0]), int(SUMS["graz"].answers[0])
    exact = clopper_pearson(flipped, lesions)
    assert exact is not None
    share, low, high = (f"{100 * value:.1f}%" for value in (flipped / lesions, exact.low, exact.high))
    assert flips.rows[0][1][1] == f"{flipped} of {lesions}: {share} ({low}–{high})"
    assert auc.rows[0] == (
        "None",
        tuple(f"{own['auc']:.3f}" for own in (found["all"], *found["clinics"].values())),
    )
    assert counted(found) == "120 test lesions of 2 clinics. Without an answer: wien."


def test_without_an_answer_there_is_no_table_and_a_hidden_group_is_a_dash() -> None:
    nobody = ClinicsAudit(2, {}, {"graz": "too few"}).to_dict()
    assert audit_tables(nobody) == []
    assert counted(nobody) == "0 test lesions of 0 clinics. Without an answer: graz."
    found = AUDIT.to_dict()
    found["clinics"]["linz"]["effects"]["ink"]["to_benign"] = None
    assert audit_tables(found)[1].rows[0][1][2] == "–"


def test_the_card_and_the_command_show_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = simulation(tmp_path)
    facts = simulated_facts(run)
    assert "Not audited" in card_text(facts)
    found = replace(AUDIT, clinics={HOSTILE: SUMS["graz"]}).to_dict()
    shown = cells(card_text(replace(facts, audit=found)))
    assert HOSTILE in shown
    for table in audit_tables(found):
        assert {cell for _, row in table.rows for cell in row} <= set(shown)
    asked: Any = command(cli.main, capsys, "models", "audit", run)
    assert asked.code == 2
    assert "audit_model = true" in asked.err
    AUDIT.save(federated_folder(run))
    printed = command(cli.main, capsys, "models", "audit", run, "--json")
    assert json.loads(printed.out)["all"] == AUDIT.to_dict()["all"]
    text = command(cli.main, capsys, "models", "audit", run).out
    assert "Ink marks" in text
    assert "120 test lesions of 2 clinics" in text
