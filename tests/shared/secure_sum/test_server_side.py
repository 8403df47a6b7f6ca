"""What a clinic sends that is wrong: the server leaves it out, or says whose secret cannot be opened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.adverts import sign_advert
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.released_shares import ReleasedShares, Secret
from dermafed.shared.secure_sum.survivors import SignedSurvivors
from tests.shared.secure_sum.federation import (
    MASKED,
    RELEASED,
    SIGNED,
    Federation,
    enrolment_key,
    random_values,
    terms,
)

TERMS = terms(5)
VALUES = random_values(np.random.default_rng(2), 5, TERMS.layout)


def federation(drops: dict[int, str] | None = None) -> Federation:
    return Federation(TERMS, VALUES, drops or {})


def test_keys_that_the_clinic_did_not_sign_are_refused() -> None:
    each = federation()
    advert = each.clinics[1].advertise(each.server.context, each.task)
    forged = sign_advert(enrolment_key(7), each.server.context.digest, advert)
    for wrong, why in (
        (replace(advert, clinic=2), "not signed with the key that it enrolled with"),
        (forged, "not signed with the key that it enrolled with"),
        (replace(advert, clinic=5), "Nothing is awaited"),
    ):
        with pytest.raises(FederationError, match=why):
            each.server.take_advert(wrong)
    each.server.take_advert(advert)
    with pytest.raises(FederationError, match="Nothing is awaited"):
        each.server.take_advert(advert)


def test_shares_for_others_than_the_peers_are_refused() -> None:
    each = federation()
    dealt = each.clinics[0].deal(each.keys())
    with pytest.raises(FederationError, match="not for its peers"):
        each.server.take_dealt(replace(dealt, shares=dealt.shares[1:]))
    each.server.take_dealt(dealt)


def test_a_masked_vector_is_added_once_and_has_its_length() -> None:
    each = federation({4: MASKED})
    each.deal(each.keys())
    each.sums()
    for clinic, why in ((4, "2 numbers"), (0, "Nothing is awaited")):
        with pytest.raises(FederationError, match=why):
            each.server.take_masked(MaskedVector(clinic, np.zeros(2, np.uint32)))


def test_a_wrong_signature_counts_for_nothing() -> None:
    each = federation({4: SIGNED})
    each.deal(each.keys())
    each.sums()
    each.server.close_masked()
    with pytest.raises(FederationError, match="not one of the list"):
        each.server.take_signed(SignedSurvivors(4, bytes(96)))
    with pytest.raises(FederationError, match=r"0 clinics sent their signatures, of the 4.* clinic-0000"):
        each.server.close_survivors()


def test_other_secrets_than_those_that_are_due_are_refused() -> None:
    each = federation()
    each.deal(each.keys())
    each.sums()
    survivors = each.server.close_masked()
    for side in each.clinics.values():
        each.server.take_signed(side.sign(survivors))
    released = each.clinics[0].release(each.server.close_survivors())
    dead = released.shares[1]._replace(secret=Secret.MASK_KEY)
    for shares in (released.shares[1:], (released.shares[0], dead, *released.shares[2:])):
        with pytest.raises(FederationError, match="not those of its dealers"):
            each.server.take_released(replace(released, shares=shares))
    each.server.take_released(released)


@pytest.mark.parametrize(("drops", "liar"), [({4: RELEASED}, 1), ({4: MASKED}, 4)])
def test_shares_that_open_something_else_are_noticed(drops: dict[int, str], liar: int) -> None:
    """Of a survivor by the commitment to its seed, of others by their public key."""

    def lie(message: object) -> object:
        if not isinstance(message, ReleasedShares) or message.clinic != 0:
            return message
        changed = (
            share._replace(share=share.share[:-1] + bytes([share.share[-1] ^ 1]))
            if share.dealer == liar
            else share
            for share in message.shares
        )
        return replace(message, shares=tuple(changed))

    each = Federation(TERMS, VALUES, drops, carry=lie)
    with pytest.raises(FederationError, match=f"mask of 'clinic-000{liar}' cannot be taken off") as refused:
        each.run()
    assert "next round" in refused.value.remedy
