"""Every kind of bad and odd input has its status, its code, its message, and a row in the documentation."""

from __future__ import annotations

import pickle

import pytest

from dermafed.client.clinic.intake.receive import Received
from dermafed.client.clinic.intake.refusals import Refused
from tests.client.clinic.intake.bad_input_table import KINDS, PAGE, row
from tests.client.clinic.intake.kinds import TAKEN, Kind
from tests.client.clinic.intake.sample_files import SECRET


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_kind(kind: Kind) -> None:
    assert kind.outcome()[:2] == (kind.status, kind.code)
    assert row(kind) in PAGE.read_text("utf-8"), (
        "python -m tests.client.clinic.intake.bad_input_table writes the table anew"
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.code != TAKEN], ids=lambda kind: kind.name)
def test_a_refusal_repeats_nothing_of_the_file(kind: Kind) -> None:
    with pytest.raises(Refused) as caught:
        kind.enter(kind.make())
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.remedy


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.code == TAKEN], ids=lambda kind: kind.name)
def test_only_pixels_and_filing_attributes_of_a_file_remain(kind: Kind) -> None:
    received = kind.enter(kind.make())
    assert isinstance(received, Received)
    filed = pickle.dumps(received.reference)
    bare = pickle.dumps((received.image, received.sha256, received.clinical, received.cautions))
    assert SECRET.encode() not in bare
    assert filed.count(SECRET.encode()) <= 1  # the patient's name, once


def test_names_of_kinds_are_unique() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
