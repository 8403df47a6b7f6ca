from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.shared.errors import SettingsError
from dermafed.simulation.studies.study import View, read_study, study_names

FILE = """
title = "Two rows"
seeds = [3, 5]
[base]
image_size = 96
denoise = "none"
[rows.plain]
[rows."held near"]
strategy = "fedprox"
[quick]
seeds = [0]
data = "synthetic"
image_size = 32
"""


def written(folder: Path, text: str = FILE) -> str:
    path = folder / "two.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_rows_are_the_base_with_their_own_settings_for_every_seed(tmp_path: Path) -> None:
    study = read_study(written(tmp_path), {"data": "/lesions", "weights": "none"})
    runs = list(study.runs())
    assert [(row, settings.seed) for row, settings in runs] == [
        ("plain", 3),
        ("held near", 3),
        ("plain", 5),
        ("held near", 5),
    ]
    assert [settings.strategy for _, settings in runs[:2]] == ["fedavg", "fedprox"]
    assert {(s.data, s.image_size, s.denoise) for _, s in runs} == {("/lesions", 96, "none")}


@pytest.mark.parametrize(("of_base", "splits"), [("", [3, 5]), ("split_seed = 7\n", [7, 7])])
def test_a_split_has_the_runs_seed_unless_it_has_its_own(
    tmp_path: Path, of_base: str, splits: list[int]
) -> None:
    text = FILE.replace("[base]\n", f"[base]\n{of_base}")
    runs = read_study(written(tmp_path, text), {}).only(["plain"]).runs()
    assert [settings.split_seed for _, settings in runs] == splits


def test_a_row_may_have_seeds_of_its_own(tmp_path: Path) -> None:
    text = FILE + "[rows.dear]\nseeds = [5]\n"
    runs = [(row, settings.seed) for row, settings in read_study(written(tmp_path, text), {}).runs()]
    assert runs == [("plain", 3), ("held near", 3), ("dear", 5), ("plain", 5), ("held near", 5)]
    quick = read_study(written(tmp_path, text), {}, quick=True)
    assert [(row, settings.seed) for row, settings in quick.runs()] == [
        ("plain", 0),
        ("held near", 0),
        ("dear", 0),
    ]
    quick = read_study(written(tmp_path, text + "[quick.rows.few]\nseeds = [7]\n"), {}, quick=True)
    assert [(row, settings.seed) for row, settings in quick.runs()] == [("few", 7)]


def test_some_rows_only(tmp_path: Path) -> None:
    text = FILE + '[rows.guided]\nof = "plain"\nlook = "cam"\n[published.guided]\nauc = 0.9\n'
    study = read_study(written(tmp_path, text), {})
    near, guided = study.only(["held near"]), study.only(["guided"])
    assert (list(near.rows), near.views, near.published) == (["held near"], {}, {})
    assert (list(guided.rows), list(guided.views), guided.order) == (
        ["plain"],
        ["guided"],
        ("plain", "guided"),
    )
    assert guided.published == {"guided": {"auc": 0.9}}
    with pytest.raises(SettingsError, match="no row named 'far'"):
        study.only(["plain", "far"])


def test_rows_with_a_second_view_train_nothing_and_stay_in_order(tmp_path: Path) -> None:
    text = """
[rows.guided]
of = "plain"
look = "cam"
[rows.plain]
[published.guided]
accuracy = 0.99
"""
    study = read_study(written(tmp_path, text), {})
    assert list(study.rows) == ["plain"]
    assert study.views == {"guided": View("plain", "cam")}
    assert study.order == ("guided", "plain")
    assert study.published == {"guided": {"accuracy": 0.99}}
    quick = read_study(written(tmp_path, text), {}, quick=True)
    assert not quick.published, "published metrics are not comparable with those on synthetic images"


def test_quick_replaces_the_settings_that_it_names(tmp_path: Path) -> None:
    study = read_study(written(tmp_path), {}, quick=True)
    assert study.seeds == (0,)
    assert [(s.data, s.image_size, s.denoise) for s in study.rows.values()] == [("synthetic", 32, "none")] * 2


def test_quick_may_have_rows_of_its_own(tmp_path: Path) -> None:
    text = FILE + '[quick.rows.few]\ntrain_images = "20"\n'
    assert list(read_study(written(tmp_path, text), {}).rows) == ["plain", "held near"]
    (row,) = read_study(written(tmp_path, text), {}, quick=True).rows.items()
    assert (row[0], row[1].train_images, row[1].image_size) == ("few", "20", 32)


def test_a_study_names_its_analyses(tmp_path: Path) -> None:
    assert read_study(written(tmp_path, 'judgements = ["pairs"]\n' + FILE), {}).analyses == ("pairs",)
    assert read_study(written(tmp_path), {}).analyses == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('judgements = ["paris"]\n[rows.a]', "no analysis named 'paris'"),
        ("seeds = [0]", "needs rows"),
        ("seeds = []\n[rows.a]", "seeds"),
        ("seeds = [1, 1]\n[rows.a]", "The seeds are not different"),
        ("[rows.a]\nseeds = 3", "seeds of the row 'a' are not"),
        ("seeds = [-1]\n[rows.a]", "seeds"),
        ("sedes = [0]\n[rows.a]", "'sedes'"),
        ("[rows.a]\nstrtegy = 'fedavg'", "no key 'strtegy' .*row 'a'.* Perhaps 'strategy' is meant"),
        ("[rows.a]\nseed = 3", "'seed'"),
        ("rows = [", "cannot be read"),
        ("[rows.a]\n[rows.b]\nof = 'c'\nlook = 'cam'", "trained row for 'b' named 'c'"),
        ("[rows.a]\n[rows.b]\nof = 'a'\nlook = 'up'", "second view in the row 'b' named 'up'"),
        ("[rows.a]\n[rows.b]\nof = 'a'\nlook = 'cam'\nclahe = false", "'b' named 'clahe'"),
        ("[rows.a]\nbatch_norm = 'local'\n[rows.b]\nof = 'a'\nlook = 'cam'", "another model at each"),
        ("[rows.a]\n[rows.b]\nof = ['a']\nlook = 'cam'", "trained row for 'b'"),
        ("[rows.a]\n[rows.b]\nof = 'a'", "second view in the row 'b'"),
        ("[rows]\na = 3", "'rows' is not a table of tables"),
        ("published = 3\n[rows.a]", "'published' is not a table of tables"),
        ("[rows.a]\n[published.b]\nauc = 0.9", "row for published metrics named 'b'"),
        ("[rows.a]\n[published.a]\nacc = 0.9", "published metric of 'a' named 'acc'"),
        ("[rows.a]\n[published.a]\nauc = 'high'", "is not a number"),
        ("base = 3\n[rows.a]", "'base' is not a table"),
        ("judgements = 3\n[rows.a]", "'judgements' is not a list"),
        ("[rows.a]\nrounds = 'many'", "'many' is not a whole number .*row 'a', rounds"),
        ("[rows.a]\nrounds = true", "True is not a whole number .*row 'a', rounds"),
        ("[rows.a]\ntrain_images = 20", "20 is not a text .*row 'a', train_images"),
        ("[rows.a]\nbaselines = 'no'", "'no' is not true or false .*row 'a', baselines"),
        ("[rows.'α']\n[rows.'β']", "The rows 'α' and 'β' would have the same folder"),
    ],
)
def test_an_error_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        read_study(written(tmp_path, text), {})
    assert "two.toml" in str(error.value)


def test_a_quick_that_is_not_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'quick' is not a table"):
        read_study(written(tmp_path, "quick = 3\n[rows.a]"), {}, quick=True)


def test_whole_numbers_are_numbers(tmp_path: Path) -> None:
    assert read_study(written(tmp_path, "[rows.a]\nepochs = 2"), {}).rows["a"].epochs == 2


def test_an_unknown_study_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="ablation"):
        read_study("abaltion", {})


@pytest.mark.parametrize("name", study_names())
@pytest.mark.parametrize("quick", [False, True])
def test_every_study_of_the_package_can_be_read(name: str, quick: bool) -> None:
    study = read_study(name, {"weights": "none"}, quick=quick)
    in_one_row = "methods" in study.analyses or all(row.baselines for row in study.rows.values())
    assert len(study.rows) > 1 or in_one_row, "it compares rows, or arms or methods of one"
    once = {
        "budget": "a choice, not a result",
        "clinics": "a cost, not a comparison",
        "hostile": "a run for each rule and attack, of effects larger than trainings differ by",
        "shortcuts": "what models read, with intervals of lesions",
    }
    assert quick or len(study.seeds) > 2 or name in once
