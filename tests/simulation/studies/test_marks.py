"""Numbers between marks are those of the result file, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.errors import SettingsError
from dermafed.simulation.studies.marks import renew, unmarked_numbers

TABLE = [
    {"row": "plain", "tests": "all", "figure": "auc", "mean": 0.8125, "half_width": 0.0204},
    {"row": "plain", "tests": "all", "figure": "accuracy", "mean": 0.75, "half_width": None},
    {"row": "with, BM3D", "tests": "all", "figure": "auc", "mean": 0.8, "half_width": None},
    {"row": "plain", "tests": "mean", "figure": "auc", "mean": 0.7, "half_width": None},
]
PAIRS = [
    {"a": "x", "b": "y", "difference": -0.03125, "low": -0.05, "high": 0.01, "p_holm": 0.5, "images": 12},
    {"a": "x", "b": "z", "difference": 0.5, "low": None, "high": None, "p_holm": None, "images": 7},
    {"a": "y", "b": "z", "difference": 0.5, "low": None, "high": None, "p_holm": 1e-9, "images": 7},
]
METHODS = [
    {"method": "cam", "figure": "deletion", "mean": 0.25, "half_width": None},
    {"method": "no map here", "figure": None, "mean": None, "half_width": None},
]
GROUPS = [
    {"group": "40-59", "recall": {"value": 0.5, "low": 0.25, "high": 0.75}},
    {"group": "80", "recall": None},
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    lines = {"table": TABLE, "pairs": PAIRS, "groups": GROUPS, "methods": METHODS}
    (folder / "s.json").write_text(json.dumps({"lines": lines}))
    return folder


def between(query: str, text: str = "old") -> str:
    return f"<!-- figures {query} -->{text}<!-- /figures -->"


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("s/table row=plain tests=all figure=auc", "0.812 ± 0.020"),
        ("s/table row='with, BM3D' figure=auc digits=1", "0.8"),
        ("s/pairs b=y show=difference", "-0.031 (-0.050 to 0.010)"),
        ("s/pairs a=x b=z show=difference", "0.500"),
        ("s/pairs a=x b=z show=p_holm", "–"),
        ("s/pairs a=y b=z show=p_holm digits=4", "< 0.0001"),
        ("s/pairs b=y show=images", "12"),
        ("s/groups group=40-59 show=recall digits=2", "0.50 (0.25 to 0.75)"),
        ("s/table+s/methods figure=deletion digits=2", "0.25"),
    ],
)
def test_a_single_number_is_written_in_its_sentence(results: Path, query: str, number: str) -> None:
    assert (
        renew(f"It is {between(query)}, *mark* it.", results) == f"It is {between(query, number)}, *mark* it."
    )


def test_a_table_has_a_line_for_each_row_and_a_column_for_each_metric(results: Path) -> None:
    query = "s/table by=row across=figure tests=all"
    table = (
        "\n| Row | AUC | Accuracy |\n| --- | ---: | ---: |\n"
        "| plain | 0.812 ± 0.020 | 0.750 |\n| with, BM3D | 0.800 |  |\n"
    )
    assert renew(between(query), results) == between(query, table)


def test_a_line_without_a_metric_is_a_row_of_empty_cells(results: Path) -> None:
    query = "s/methods by=method across=figure"
    table = "\n| Method | Deletion |\n| --- | ---: |\n| cam | 0.250 |\n| no map here |  |\n"
    assert renew(between(query), results) == between(query, table)


def test_a_table_may_show_several_keys(results: Path) -> None:
    query = "s/pairs by=a|b show=difference|p_holm a=x"
    assert renew(between(query), results) == between(
        query,
        "\n| A | B | Difference | P holm |\n| --- | --- | ---: | ---: |\n"
        "| x | y | -0.031 (-0.050 to 0.010) | 0.500 |\n| x | z | 0.500 | – |\n",
    )


def test_each_key_shown_may_have_its_own_digits(results: Path) -> None:
    query = "s/pairs by=b show=difference|p_holm b=y digits=1|2"
    table = "\n| B | Difference | P holm |\n| --- | ---: | ---: |\n| y | 0.0 (-0.1 to 0.0) | 0.50 |\n"
    assert renew(between(query), results) == between(query, table)


@pytest.mark.parametrize(
    "text",
    [
        between("s/table row=plain figure=auc"),  # two lines: all, mean
        between("s/table by=row across=figure"),  # the same, in one cell
        between("s/table row=none"),
        between("s/table by=row row=none"),
        between("s/table kind=x"),
        between("s/table row='plain"),
        between("s/pairs by=b show=difference|p_holm digits=1|2|3"),
        between("s/none row=plain"),
        between("none/table row=plain"),
        between("s row=plain"),
        "<!-- figures s/table row=plain -->0.8",
        "0.8<!-- /figures -->",
    ],
)
def test_missing_numbers_are_refused_with_the_document(results: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"page\.md"):
        renew(text, results, "page.md")


@given(st.text(st.characters(exclude_characters="<"), max_size=40), st.text(max_size=40))
def test_only_text_between_marks_changes_and_only_once(results: Path, around: str, old: str) -> None:
    query = "s/table row=plain tests=mean"
    text = around + between(query, old.replace("<", "")) + around
    assert renew(text, results) == around + between(query, "0.700") + around
    assert renew(renew(text, results), results) == renew(text, results)


def test_a_document_of_marked_numbers_has_no_others() -> None:
    marked = between("s/table row=plain tests=mean", "0.700")
    fine = f"Version 1.2 gives {marked}.\n\n```\nlr = 0.001\n```\n\n`0.25` of an epoch.\n"
    whole = "<!-- every figure is from results -->\n"
    assert unmarked_numbers(whole + fine) == []
    assert unmarked_numbers(whole + "A 2025 ([doi:10.36548/j.1](https://doi.org/10.36548/j.1)): B.\n") == []
    assert unmarked_numbers(whole + fine + "Alone it is 0.62.\n") == ["Alone it is 0.62."]
    assert unmarked_numbers(fine + "Alone it is 0.62.\n") == []
