"""The documents say what the result files and the code say."""

from __future__ import annotations

from dermafed.simulation.studies.marks import by_hand
from dermafed.simulation.studies.publish import documents, outdated_documents
from tests.paths import ROOT

UPDATE = "python -m dermafed.simulation.studies.publish"


def test_every_marked_figure_is_the_one_of_its_result_file() -> None:
    assert not outdated_documents(ROOT), UPDATE


def test_where_all_figures_are_to_be_marked_none_is_written_by_hand() -> None:
    assert {path: found for path in documents(ROOT) if (found := by_hand(path.read_text("utf-8")))} == {}


def test_every_result_file_is_quoted() -> None:
    quoted = "".join(path.read_text("utf-8") for path in documents(ROOT))
    for path in (ROOT / "docs" / "results").glob("*.json"):
        assert f"<!-- figures {path.stem}/" in quoted, path.name


def test_the_design_shows_every_package() -> None:
    shown = (ROOT / "docs" / "design.md").read_text("utf-8")
    for part in ("dermafed", "shared", "server", "client", "simulation"):
        for path in (ROOT / part).rglob("__init__.py"):
            assert f"`{path.parent.relative_to(ROOT)}/`" in shown
