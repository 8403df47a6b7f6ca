"""README.md and docs say what the studies' result files say."""

from __future__ import annotations

from dermafed.simulation.studies.marks import by_hand
from dermafed.simulation.studies.publish import documents, outdated_documents
from tests.paths import ROOT

MEND = "python -m dermafed.simulation.studies.publish"


def test_every_marked_figure_is_the_one_of_its_result_file() -> None:
    assert not outdated_documents(ROOT), MEND


def test_where_all_figures_are_to_be_marked_none_is_written_by_hand() -> None:
    assert {path: found for path in documents(ROOT) if (found := by_hand(path.read_text("utf-8")))} == {}


def test_every_result_file_is_told_somewhere() -> None:
    told = "".join(path.read_text("utf-8") for path in documents(ROOT))
    for path in (ROOT / "docs" / "results").glob("*.json"):
        assert f"<!-- figures {path.stem}/" in told, path.name
