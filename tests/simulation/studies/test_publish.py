"""A study's figures are kept without the machine's folders, and documents follow them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dermafed.simulation.studies.publish import main, parted, publish, publish_benchmark

MARK = "<!-- figures trial/table row=plain -->"
SAID = f"It reaches {MARK}0.700<!-- /figures -->.\n"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "dermafed-study-trial"
    folder.mkdir()
    (folder / "study.json").write_text(
        json.dumps(
            {
                "title": "A trial",
                "command": "fl-simulate study trial --data '/data/my ham' --weights /data/first.h5",
                "seeds": [0],
                "rows": {"plain": {"data": "/data/ham10000", "rounds": 2, "learning_rate": 0.0005}},
                "figures": [{"row": "plain", "mean": 0.70000000001, "half_width": None}],
            }
        )
    )
    (folder / "pairs.json").write_text(json.dumps({"title": "", "lines": [{"a": "x", "p": 0.12345678}]}))
    (folder / "angles.json").write_text(json.dumps({"ISIC_0000001": 41.5}))
    (folder / "pairs.svg").write_text("<svg/>")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "docs").mkdir(parents=True)
    (folder / "README.md").write_text(SAID)
    (folder / "docs" / "other.md").write_text("Nothing of a study: 0.123.\n")
    return folder


def test_the_result_file_holds_every_line_and_no_folder_of_the_machine(study: Path, root: Path) -> None:
    path = publish(study, root)
    assert path == root / "docs" / "results" / "trial.json"
    content = json.loads(path.read_text("utf-8"))
    assert content["lines"] == {
        "table": [{"row": "plain", "mean": 0.7, "half_width": None}],
        "pairs": [{"a": "x", "p": 0.123457}],
    }
    assert content["rows"] == {"plain": {"data": "ham10000", "rounds": 2, "learning_rate": 0.0005}}
    assert content["command"] == "fl-simulate study trial --data 'my ham' --weights first.h5"
    assert (root / "docs" / "images" / "trial-pairs.svg").read_text() == "<svg/>"


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ([{"sigma": 5, "psnr": 0.12345678}], {"table": [{"sigma": 5, "psnr": 0.123457}]}),
        ([{"p": 1.26e-9, "q": 0.0}], {"table": [{"p": 1.3e-9, "q": 0.0}]}),
        (
            {"cost": [{"side": "ours"}], "ratio": 9.5, "images": 3},
            {"cost": [{"side": "ours"}], "figures": [{"ratio": 9.5, "images": 3}]},
        ),
    ],
)
def test_what_a_benchmark_printed_is_kept_as_lines(
    tmp_path: Path, root: Path, printed: object, kept: object
) -> None:
    output = tmp_path / "noise.json"
    output.write_text(json.dumps(printed))
    path = publish_benchmark(output, root)
    content = json.loads(path.read_text("utf-8"))
    assert path == root / "docs" / "results" / "noise.json"
    assert content == {"command": "python -m benchmarks.noise", "lines": kept}


@pytest.mark.parametrize("printed", ["a table for people", "3", ""])
def test_what_no_benchmark_printed_is_refused(
    tmp_path: Path, root: Path, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "noise.json"
    output.write_text(printed)
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["publish", str(output)])
    assert main() == 2
    assert not (root / "docs" / "results").exists()


def test_documents_that_part_from_the_results_are_found_and_mended(
    study: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(study, root)
    assert parted(root) == {}
    (root / "README.md").write_text(SAID.replace("0.700", "0.710"))
    monkeypatch.chdir(root)
    for arguments, code, told in (
        (["--check"], 1, "Differs: README.md\n"),
        ([], 0, "Written: README.md\n"),
        (["--check"], 0, ""),
    ):
        monkeypatch.setattr(sys, "argv", ["publish", *arguments])
        assert (main(), capsys.readouterr().out) == (code, told)
    assert (root / "README.md").read_text() == SAID


def test_where_no_documents_are_a_message_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["publish"])
    assert main() == 2
    assert "README.md" in capsys.readouterr().err


def test_what_is_no_study_is_refused_and_nothing_is_written(
    study: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    (study / "pairs.json").write_text("[]")
    for folder in (study, root):
        monkeypatch.setattr(sys, "argv", ["publish", str(folder)])
        assert main() == 2
        assert "This is no finished study" in capsys.readouterr().err
    assert not (root / "docs" / "results").exists()
