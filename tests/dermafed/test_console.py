"""The progress bar shows itself late, and on stderr."""

from __future__ import annotations

import pytest

from dermafed.console import progress_bar


def test_quick_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Preprocessing") as report:
        report(1, 1)
    assert capsys.readouterr() == ("", "")


def test_long_work_shows_its_count_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Preprocessing", after=0) as report:
        report(1, 20)
        report(7, 20)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Preprocessing" in err
    assert "7/20" in err
