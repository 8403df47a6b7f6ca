"""What the coordinator sees of each clinic's step: in ``status`` before round 1, in ``history`` after it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dermafed.server.commands.clinic_rounds import clinics_table
from dermafed.server.coordinator.run_shares import SHARES_FILE, load_shares, save_shares
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.shares import Member
from dermafed.shared.errors import FederationError


def test_the_table_shows_every_number_and_the_note() -> None:
    row = ClinicRound("graz", 0.5, 12.3456, 4.2, -0.25, 1.5, 0.61, "its step of the weights is 4.2 times")
    console = Console(file=io.StringIO(), width=200)
    console.print(clinics_table({3: [row, ClinicRound("linz")]}))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for shown in ("3", "graz", "50.0 %", "12.3", "4.2", "-0.25", "1.5", "0.61", "its step of the weights"):
        assert shown in text
    assert "linz" in text


def test_shares_are_logged_and_saved_before_the_first_round(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    members = {"graz": Member(60, 60), "linz": Member(23, 23), "wels": Member(7, 7)}
    caplog.set_level("INFO", "dermafed.server")
    save_shares(tmp_path, members, 0.5)
    assert load_shares(tmp_path) == pytest.approx({"graz": 0.5, "linz": 23 / 60, "wels": 7 / 60})
    assert "graz has 50.0 % of the mean, without the cap 66.7 %" in caplog.text
    assert "wels has 11.7 % of the mean" in caplog.text
    assert load_shares(tmp_path / "none") == {}
    (tmp_path / SHARES_FILE).write_text("[1]")
    with pytest.raises(FederationError, match="shares of the run cannot be read"):
        load_shares(tmp_path)
