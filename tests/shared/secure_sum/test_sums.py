from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.fixed_point import Part
from dermafed.shared.secure_sum.packing import Kind
from tests.shared.secure_sum.federation import (
    MASKED,
    SHARES,
    SIGNED,
    STEPS,
    Federation,
    over_the_wire,
    random_values,
    terms,
)
from tests.shared.secure_sum.test_masks import irregularity

BYTES = 0.02 * 2 * 4 * 4_060_000
"""2 % of a model of 4.06 million weights, there and back."""

PARTS = (
    Part("delta", 300, 2.5),
    Part("weight", 1, 1e6),
    Part("loss", 1, 100.0),
    Part("histograms", 40, 10**6, whole=True),
)


@pytest.mark.usefixtures("each_signature_checked_once")
@pytest.mark.parametrize("clinics", [3, 5, 20])
def test_the_sum_is_the_plain_sum(clinics: int) -> None:
    agreed = terms(clinics, 0, PARTS)
    values = random_values(np.random.default_rng(clinics), clinics, agreed.layout)
    total = Federation(agreed, values, carry=over_the_wire).run()
    assert total.keys() == {part.name for part in PARTS}
    for part in PARTS:
        plain = sum(values[clinic][part.name] for clinic in range(clinics))
        assert np.abs(total[part.name] - plain).max() <= 2**-20 * clinics * part.largest
    plain = sum(values[clinic]["histograms"] for clinic in range(clinics))
    assert total["histograms"].tolist() == plain.tolist()


@pytest.mark.usefixtures("each_signature_checked_once")
@pytest.mark.parametrize("seed", range(4))
def test_twenty_clinics_with_dropouts_at_random(seed: int) -> None:
    agreed, rng = terms(20, 5), np.random.default_rng(seed)
    most = 20 - agreed.threshold
    drops = {int(clinic): str(rng.choice(STEPS)) for clinic in rng.permutation(20)[:most]}
    values = random_values(rng, 20, agreed.layout)
    federation = Federation(agreed, values, drops, carry=over_the_wire)
    total = federation.run()["delta"]
    assert most_bytes(federation, graph=False) < BYTES
    included = [int(name.removeprefix("clinic-")) for name in federation.server.names]
    assert len(included) >= agreed.threshold
    plain = sum(values[clinic]["delta"] for clinic in included)
    np.testing.assert_allclose(total, plain, rtol=0, atol=2**-20 * 20 * 4)
    one_more = next(clinic for clinic in range(20) if clinic not in drops)
    with pytest.raises(FederationError):
        Federation(agreed, values, {**drops, one_more: STEPS[seed]}).run()


@pytest.mark.usefixtures("each_signature_checked_once")
def test_a_hundred_clinics_in_a_graph_with_a_tenth_dropping_out() -> None:
    agreed, rng = terms(100, 33), np.random.default_rng(5)
    assert agreed.draws_graph
    # The first 34 draw the seed, and must not drop out before they have.
    drops = {int(clinic): str(rng.choice(STEPS[2:])) for clinic in rng.permutation(100)[:10]}
    drops |= {clinic: SHARES for clinic in drops if clinic > 90}
    values = random_values(rng, 100, agreed.layout)
    federation = Federation(agreed, values, drops, carry=over_the_wire)
    total = federation.run()["delta"]
    assert most_bytes(federation, graph=True) < BYTES
    included = [clinic for clinic in range(100) if drops.get(clinic, SIGNED) not in (SHARES, MASKED)]
    assert len(federation.server.names) == len(included) < 100
    plain = sum(values[clinic]["delta"] for clinic in included)
    np.testing.assert_allclose(total, plain, rtol=0, atol=2**-20 * 100 * 4)
    dealt = federation.server._dealt
    assert {len(each.shares) for each in dealt.values()} == {44}


def most_bytes(federation: Federation, *, graph: bool) -> int:
    """Of one message of each kind, beyond the masked vector, which has four bytes a number."""
    largest: dict[int, int] = {}
    for data in federation.carried:
        largest[data[1]] = max(largest.get(data[1], 0), len(data))
    assert largest.pop(Kind.MASKED_VECTOR) == 4 + 4 * federation.terms.layout.size
    kinds = set(Kind) - {Kind.MASKED_VECTOR, Kind.CODED_VECTOR}
    assert set(largest) == (kinds if graph else kinds - {Kind.REVEAL, Kind.REVEALS})
    return sum(largest.values())


def test_masked_vectors_of_zeros_are_uniform() -> None:
    """What the server receives of a clinic says nothing; without its masks it says all."""
    size = 200_000
    agreed = terms(3, 0, (Part("delta", size, 1.0),))
    values = {clinic: {"delta": np.zeros(size)} for clinic in range(3)}
    federation = Federation(agreed, values)
    assert not federation.run()["delta"].any()
    vectors = [message.values for message in federation.transcript if hasattr(message, "values")]
    assert len(vectors) == 3
    assert max(map(irregularity, vectors)) < 6
    assert irregularity(agreed.layout.encode(values[0])) > 6
    both = np.corrcoef(vectors[0].astype(float), vectors[1].astype(float))[0, 1]
    assert abs(both) < 6 / np.sqrt(size)


def test_the_masks_of_two_attempts_have_nothing_in_common() -> None:
    """Of the same values, the difference of what a clinic sends in two attempts is as random as each."""
    size = 200_000
    agreed = terms(3, 0, (Part("delta", size, 1.0),))
    values = random_values(np.random.default_rng(6), 3, agreed.layout)
    sent = []
    for attempt in (1, 2):
        federation = Federation(agreed, values, attempt=attempt)
        federation.run()
        sent.append([message.values for message in federation.transcript if hasattr(message, "values")])
    for first, second in zip(*sent, strict=True):
        assert irregularity(first - second) < 6
    assert irregularity(sent[0][0] - sent[0][0]) > 6
