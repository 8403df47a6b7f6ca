"""A study's metrics are saved without the machine's folders, and the documents are updated."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dermafed.simulation.studies.publish import main, outdated_documents, publish, publish_benchmark

MARK = "<!-- figures trial/table row=plain -->"
TEXT = f"It reaches {MARK}0.700<!-- /figures -->.\n"


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
    (folder / "README.md").write_text(TEXT)
    (folder / "docs" / "other.md").write_text("Nothing of a study: 0.123.\n")
    return folder


def test_the_result_file_has_every_line_and_no_folder_of_the_machine(study: Path, root: Path) -> None:
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
    ("printed", "saved"),
    [
        ([{"sigma": 5, "psnr": 0.12345678}], {"table": [{"sigma": 5, "psnr": 0.123457}]}),
        ([{"p": 1.26e-9, "q": 0.0}], {"table": [{"p": 1.3e-9, "q": 0.0}]}),
        (
            {"cost": [{"side": "ours"}], "ratio": 9.5, "images": 3},
            {"cost": [{"side": "ours"}], "figures": [{"ratio": 9.5, "images": 3}]},
        ),
    ],
)
def test_the_output_of_a_benchmark_is_saved_as_lines(
    tmp_path: Path, root: Path, printed: object, saved: object
) -> None:
    output = tmp_path / "noise.json"
    output.write_text(json.dumps(printed))
    path = publish_benchmark(output, root)
    content = json.loads(path.read_text("utf-8"))
    assert path == root / "docs" / "results" / "noise.json"
    assert content == {"command": "python -m benchmarks.noise", "lines": saved}


def test_the_comparisons_are_the_command_benchmarks(tmp_path: Path, root: Path) -> None:
    output = tmp_path / "benchmarks.json"
    output.write_text('{"table": [{"comparison": "bm3d"}]}')
    content = json.loads(publish_benchmark(output, root).read_text("utf-8"))
    assert content == {"command": "python -m benchmarks", "lines": {"table": [{"comparison": "bm3d"}]}}


@pytest.mark.parametrize("printed", ["a table for people", "3", ""])
def test_other_output_is_refused(
    tmp_path: Path, root: Path, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "noise.json"
    output.write_text(printed)
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["publish", str(output)])
    assert main() == 2
    assert not (root / "docs" / "results").exists()


def test_outdated_documents_are_found_and_updated(
    study: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(study, root)
    assert outdated_documents(root) == {}
    (root / "README.md").write_text(TEXT.replace("0.700", "0.710"))
    monkeypatch.chdir(root)
    for arguments, code, output in (
        (["--check"], 1, "Differs: README.md\n"),
        ([], 0, "Written: README.md\n"),
        (["--check"], 0, ""),
    ):
        monkeypatch.setattr(sys, "argv", ["publish", *arguments])
        assert (main(), capsys.readouterr().out) == (code, output)
    assert (root / "README.md").read_text() == TEXT


def test_missing_documents_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["publish"])
    assert main() == 2
    assert "README.md" in capsys.readouterr().err


def test_an_unfinished_study_is_refused_and_no_file_is_written(
    study: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    (study / "pairs.json").write_text("[]")
    for folder in (study, root):
        monkeypatch.setattr(sys, "argv", ["publish", str(folder)])
        assert main() == 2
        assert "This is not a finished study" in capsys.readouterr().err
    assert not (root / "docs" / "results").exists()
