"""Every pattern of dropouts of five clinics: who is missing at most is survived, one more opens nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
import pytest

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.fixed_point import Part
from dermafed.shared.secure_sum.hashing import digest
from dermafed.shared.secure_sum.released_shares import ReleasedShares, Secret
from dermafed.shared.secure_sum.shamir import combine_shares
from tests.shared.secure_sum.federation import (
    RELEASED,
    SIGNED,
    STEPS,
    Federation,
    name,
    over_the_wire,
    random_values,
    terms,
)

pytestmark = pytest.mark.usefixtures("each_signature_checked_once")

TERMS = {colluders: terms(5, colluders, (Part("delta", 2, 4.0),)) for colluders in (0, 1)}
VALUES = random_values(np.random.default_rng(1), 5, TERMS[0].layout)


def patterns(dropouts: int) -> Iterator[dict[int, str]]:
    """Each choice of clinics, and of the step from which each sends nothing."""
    for clinics in combinations(range(5), dropouts):
        for steps in product(STEPS, repeat=dropouts):
            yield dict(zip(clinics, steps, strict=True))


def in_sum(drops: dict[int, str]) -> list[int]:
    """Who has sent a masked vector."""
    return [clinic for clinic in range(5) if drops.get(clinic, SIGNED) in (SIGNED, RELEASED)]


def shares_of_each_secret(federation: Federation) -> Counter[tuple[int, Secret]]:
    sent = [message for message in federation.transcript if isinstance(message, ReleasedShares)]
    return Counter((dealer, secret) for message in sent for dealer, secret, _ in message.shares)


@pytest.mark.parametrize(
    ("colluders", "dropouts", "count"),
    [(1, 0, 1), (1, 1, 25), (0, 0, 1), (0, 1, 25), pytest.param(0, 2, 250, marks=pytest.mark.journey)],
)
def test_dropouts_up_to_the_threshold_are_survived(colluders: int, dropouts: int, count: int) -> None:
    tried = 0
    for drops in patterns(dropouts):
        federation = Federation(TERMS[colluders], VALUES, drops, carry=over_the_wire)
        total = federation.run()["delta"]
        expected = sum(VALUES[clinic]["delta"] for clinic in in_sum(drops))
        np.testing.assert_allclose(total, expected, rtol=0, atol=2**-20 * 5 * 4, err_msg=str(drops))
        assert federation.server.names == tuple(map(name, in_sum(drops)))
        opened = shares_of_each_secret(federation)
        # Of a survivor only the seed, of others only the key: one secret of each dealer, never two.
        assert all((secret is Secret.SELF_SEED) == (dealer in in_sum(drops)) for dealer, secret in opened)
        tried += 1
    assert tried == count


@pytest.mark.parametrize(
    ("colluders", "dropouts", "count"), [(1, 2, 250), pytest.param(0, 3, 1250, marks=pytest.mark.journey)]
)
def test_one_more_is_refused_and_nothing_is_opened(colluders: int, dropouts: int, count: int) -> None:
    tried = 0
    for drops in patterns(dropouts):
        federation = Federation(TERMS[colluders], VALUES, drops)
        with pytest.raises(FederationError) as refused:
            federation.run()
        missing = [clinic for clinic in drops if drops[clinic] == min(drops.values(), key=STEPS.index)]
        assert all(name(clinic) in str(refused.value) for clinic in missing), drops
        assert refused.value.remedy
        # No secret of anybody has as many shares as open it.
        threshold = TERMS[colluders].threshold
        assert max(shares_of_each_secret(federation).values(), default=0) < threshold
        tried += 1
    assert tried == count


def test_as_many_shares_as_the_threshold_would_open_a_mask() -> None:
    """The control: what the test above counts is what keeps a mask closed."""
    federation = Federation(TERMS[1], VALUES, {3: RELEASED})
    federation.run()
    sent = [message for message in federation.transcript if isinstance(message, ReleasedShares)]
    shares = {each.clinic: share for each in sent for dealer, _, share in each.shares if dealer == 0}
    assert len(shares) == TERMS[1].threshold == 4
    seed = combine_shares(shares, 4)
    assert federation.server._dealt[0].seed_commitment == _commitment(federation, seed)
    assert seed != combine_shares(dict(list(shares.items())[:3]), 3)


def _commitment(federation: Federation, seed: bytes) -> bytes:
    return digest("self seed", federation.server._session.digest, seed)
