"""The lesion finder over real Flower apps and messages: what all masks in one place would give."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.run_finder import (
    LESION_FINDER_FILE,
    capped_sums,
    load_run_finder,
    unlike_most,
)
from dermafed.shared.errors import FederationError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_sums import FinderSums, TooFewMasks
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.engines.local import run_local
from tests.server.small_clinics import server, trainer_for
from tests.shared.lesion_finder.sample_cells import cells_and_shares, sums_of

NAMES = ("vienna", "graz", "linz")
CELLS, SHARES = cells_and_shares(90)
PARTS = (slice(0, 60), slice(60, 90), None)
"""The images of each clinic; Linz has no masks."""


@dataclass
class Clinics:
    """The clinics' side; one may send other sums."""

    odd: FinderSums | None = None
    received: dict[int, LesionFinder] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)

    def __call__(self, context: Context) -> OneClinic:
        return OneClinic(self, int(context.node_config["partition-id"]))


@dataclass
class OneClinic:
    all: Clinics
    number: int

    def sums(self, weights: FloatVector) -> FinderSums:
        self.all.models.add(hashlib.sha256(weights.tobytes()).hexdigest())
        part = PARTS[self.number]
        if part is None and self.all.odd is None:
            raise TooFewMasks("No training images of Jane Doe")
        return (
            self.all.odd or FinderSums.none(1) if part is None else FinderSums.of(CELLS[part], SHARES[part])
        )

    def save(self, finder: LesionFinder) -> None:
        self.all.received[self.number] = finder


def run(folder: Path, clinics: Clinics, **rules: object) -> tuple[LesionFinder | None, dict[str, object]]:
    app = build_client_app(trainer_for, finder_for=clinics)  # type: ignore[arg-type]
    run_local(server(folder, rounds=1, lesion_finder=True, **rules), app, NAMES)
    found = load_run_finder(folder)
    assert found is not None
    return found


def test_the_finder_of_all_clinics_is_that_of_all_images_in_one_place(tmp_path: Path) -> None:
    finder, facts = run(tmp_path, clinics := Clinics(), largest_share=1.0)
    assert finder is not None
    digest = hashlib.sha256(load_state(tmp_path).weights.tobytes()).hexdigest()
    pooled = LesionFinder.of(FinderSums.of(CELLS, SHARES), digest)
    np.testing.assert_allclose(finder.kernel, pooled.kernel, atol=1e-6)
    np.testing.assert_allclose(finder.find(CELLS), pooled.find(CELLS), atol=1e-6)
    assert (finder.model, finder.images, finder.clinics) == (digest, 90, 2)
    assert clinics.models == {digest}
    assert facts == {
        "round": 1,
        "clinics": {"graz": 30, "vienna": 60},
        "left_out": {"linz": "finder failed there (TooFewMasks); its own log says why"},
    }


def test_every_clinic_receives_it_also_one_without_masks(tmp_path: Path) -> None:
    finder, _ = run(tmp_path, clinics := Clinics())
    assert finder is not None
    assert set(clinics.received) == {0, 1, 2}
    for received in clinics.received.values():
        np.testing.assert_array_equal(received.kernel, finder.kernel)


def test_sums_of_other_cells_are_left_out(tmp_path: Path) -> None:
    other = FinderSums.of(CELLS[..., :4], SHARES)
    finder, facts = run(tmp_path, Clinics(odd=other), largest_share=1.0)
    assert finder is not None
    assert (finder.clinics, len(finder.kernel)) == (2, 9)
    assert facts["left_out"] == {"linz": "it summed up other cells than most clinics"}


def test_impossible_sums_are_left_out(tmp_path: Path) -> None:
    finder, facts = run(tmp_path, Clinics(odd=FinderSums.none(9)))
    assert finder is not None
    assert finder.clinics == 2
    assert facts["clinics"] == {"graz": 30, "vienna": 60}


def test_no_clinic_has_more_than_its_share() -> None:
    sums = {"vienna": sums_of(60), "graz": sums_of(30, seed=1)}
    capped = capped_sums(sums, 0.5)
    assert capped["graz"] is sums["graz"]
    np.testing.assert_allclose(capped["vienna"].gram, sums["vienna"].gram / 2)
    np.testing.assert_allclose(capped["vienna"].targets, sums["vienna"].targets / 2)
    alone = capped_sums({"vienna": sums["vienna"]}, 0.5)
    assert alone["vienna"] is sums["vienna"]


def test_far_larger_maps_are_left_out() -> None:
    cells, shares = cells_and_shares(30, seed=2)
    sums = {"vienna": sums_of(60), "graz": sums_of(30, seed=1), "linz": FinderSums.of(30 * cells, shares)}
    assert unlike_most(sums, 10.0) == {"linz": "its maps are far larger than those of most clinics"}
    assert unlike_most(sums, None) == {}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert load_run_finder(tmp_path) is None
    (tmp_path / LESION_FINDER_FILE).write_text('{"finder": {"format": 1}}')
    with pytest.raises(FederationError, match=r"lesion-finder\.json"):
        load_run_finder(tmp_path)
