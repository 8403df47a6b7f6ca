"""A coordinator that wants a clinic's update out of a secure sum; each attack has a control that succeeds."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum import terms as terms_module
from dermafed.shared.secure_sum import thresholds
from dermafed.shared.secure_sum.adverts import Advert, Cohort, sign_advert
from dermafed.shared.secure_sum.clinic_side import ClinicSide
from dermafed.shared.secure_sum.context import KeyContext
from dermafed.shared.secure_sum.masks import add_pair_mask, add_self_mask
from dermafed.shared.secure_sum.released_shares import ReleasedShares, Secret
from dermafed.shared.secure_sum.reveals import Reveals
from dermafed.shared.secure_sum.roster import Roster
from dermafed.shared.secure_sum.round_secrets import RoundSecrets, agree, public_bytes
from dermafed.shared.secure_sum.sealed_shares import (
    DealtShares,
    DeliveredShares,
    SealedShare,
    SharePair,
    seal,
    unseal,
)
from dermafed.shared.secure_sum.session import Session, open_session
from dermafed.shared.secure_sum.shamir import SHARE_BYTES, combine_shares
from dermafed.shared.secure_sum.sum_log import SumLogFile
from dermafed.shared.secure_sum.survivors import Signatures, Survivors
from dermafed.shared.secure_sum.terms import Terms
from dermafed.shared.secure_sum.thresholds import MOST_ATTEMPTS
from tests.shared.secure_sum.federation import (
    MASKED,
    Federation,
    Remembered,
    enrolment_key,
    name,
    pem,
    task,
    terms,
)

VALUES = {clinic: {"delta": np.array([0.5, -1.25, 3.0]) * (clinic + 1) / 4} for clinic in range(5)}
VICTIM = 0


class Impostor:
    """A server that is every peer of one clinic, with keys of its own."""

    def __init__(self, agreed: Terms, context: KeyContext, signing: Callable[[int], Any]) -> None:
        self.agreed, self.context = agreed, context
        self.secrets = {peer: RoundSecrets.fresh() for peer in range(1, len(agreed.roster))}
        self.adverts = [self.advert(peer, signing(peer)) for peer in self.secrets]

    def advert(self, peer: int, key: ec.EllipticCurvePrivateKey) -> Advert:
        own = self.secrets[peer]
        unsigned = Advert(peer, public_bytes(own.share_key), public_bytes(own.mask_key), bytes(32), b"")
        return sign_advert(key, self.context.digest, unsigned)

    def read(self, side: ClinicSide) -> np.ndarray:
        """What the victim sends under its masks."""
        advert = side.advertise(self.context, task())
        cohort = Cohort((advert, *self.adverts))
        dealt = side.deal(cohort)
        session = open_session(self.agreed, self.context, cohort, Reveals(()))
        seed = self.self_seed(dealt, session, advert)
        junk = SharePair(bytes(SHARE_BYTES), bytes(SHARE_BYTES))
        agreed = {peer: agree(own.share_key, advert.share_key) for peer, own in self.secrets.items()}
        shares = [
            SealedShare(peer, seal(junk, agreed[peer], session.digest, peer, VICTIM)) for peer in agreed
        ]
        vector = side.mask(DeliveredShares(tuple(shares)), VALUES[VICTIM]).values
        add_self_mask(vector, seed, session.digest, VICTIM, subtract=True)
        for peer, own in self.secrets.items():
            pair = agree(own.mask_key, advert.mask_key)
            add_pair_mask(vector, pair, session.digest, VICTIM, peer, subtract=True)
        return self.agreed.layout.decode(vector)["delta"]

    def self_seed(self, dealt: DealtShares, session: Session, advert: Advert) -> bytes:
        opened = {
            peer: unseal(
                sealed, agree(self.secrets[peer].share_key, advert.share_key), session.digest, VICTIM, peer
            )
            for peer, sealed in dealt.shares
        }
        shares = {peer: pair.self_seed for peer, pair in opened.items() if pair is not None}
        return combine_shares(shares, session.graph.threshold)


def its_own(peer: int) -> ec.EllipticCurvePrivateKey:
    """A signing key of the server's."""
    return enrolment_key(1000 + peer)


private_key = X25519PrivateKey.from_private_bytes


def victim(agreed: Terms) -> ClinicSide:
    return ClinicSide(agreed, name(VICTIM), enrolment_key(VICTIM), Remembered())


def test_swapped_keys_are_refused() -> None:
    agreed = terms(5)
    with pytest.raises(FederationError, match="keys of 'clinic-0001' are not signed by it"):
        Impostor(agreed, agreed.context(task(), 1), its_own).read(victim(agreed))


def test_swapped_keys_give_the_update_away_where_nobody_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "check_signed", lambda self, clinics: None)
    agreed = terms(5)
    read = Impostor(agreed, agreed.context(task(), 1), its_own).read(victim(agreed))
    np.testing.assert_allclose(read, VALUES[VICTIM]["delta"], atol=1e-7)


def servers_terms() -> Terms:
    """Those of a roster in which all clinics but the victim are the server."""
    keys = {name(peer): pem(its_own(peer)) for peer in range(1, 5)}
    roster = Roster.from_pem({name(VICTIM): pem(enrolment_key(VICTIM)), **keys})
    return replace(terms(5), roster=roster)


def test_another_roster_is_refused() -> None:
    theirs = servers_terms()
    with pytest.raises(FederationError, match="another roster of clinics"):
        Impostor(theirs, theirs.context(task(), 1), its_own).read(victim(terms(5)))


def test_a_clinic_that_takes_the_servers_roster_gives_its_update_away() -> None:
    theirs = servers_terms()
    read = Impostor(theirs, theirs.context(task(), 1), its_own).read(victim(theirs))
    np.testing.assert_allclose(read, VALUES[VICTIM]["delta"], atol=1e-7)


def test_a_lower_threshold_is_refused() -> None:
    agreed = terms(5)
    lower = replace(agreed.context(task(), 1), threshold=1)
    with pytest.raises(FederationError, match="another threshold"):
        victim(agreed).advertise(lower, task())


def test_a_threshold_of_one_gives_the_update_to_a_single_colluder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "least_survivors", lambda clinics, colluders: 1)
    monkeypatch.setattr(terms_module, "least_cohort", lambda clinics, colluders, groups: 1)
    thresholds.reach_of.cache_clear()
    try:
        federation = Federation(terms(5), VALUES)
        federation.deal(federation.keys())
        colluder = federation.clinics[4]
        federation.sums()
        pair, session = colluder._shares[VICTIM], colluder._session
    finally:
        thresholds.reach_of.cache_clear()
    vector = masked_of(federation, VICTIM)
    take_off_all(vector, pair.self_seed[1:], pair.mask_key[1:], session)
    read = federation.terms.layout.decode(vector)["delta"]
    np.testing.assert_allclose(read, VALUES[VICTIM]["delta"], atol=1e-7)


def masked_of(federation: Federation, clinic: int) -> np.ndarray:
    sent = [message for message in federation.transcript if hasattr(message, "values")]
    return next(message.values for message in sent if message.clinic == clinic).copy()


def take_off_all(vector: np.ndarray, seed: bytes, mask_key: bytes, session: Session) -> None:
    """With both secrets of the victim, its vector lies open."""
    add_self_mask(vector, seed, session.digest, VICTIM, subtract=True)
    for peer in session.peers_of(VICTIM):
        agreed = agree(private_key(mask_key), session.adverts[peer].mask_key)
        add_pair_mask(vector, agreed, session.digest, VICTIM, peer, subtract=True)


# Pasquini et al. 2022: all but one get a model with which their update is 0.
CRAFTED, SENT = "c" * 64, "d" * 64
OF_CRAFTED = {clinic: {"delta": VALUES[VICTIM]["delta"] * (clinic == VICTIM)} for clinic in range(5)}


def test_another_model_for_one_clinic_is_refused() -> None:
    agreed = terms(5)
    with pytest.raises(FederationError, match="names another model than the one that the server sent"):
        victim(agreed).advertise(agreed.context(task(model=CRAFTED), 1), task(model=SENT))


def test_two_contexts_for_two_models_have_no_signature_in_common() -> None:
    agreed = terms(5)
    side = victim(agreed)
    adverts = [side.advertise(agreed.context(task(model=SENT), 1), task(model=SENT))]
    for peer in range(1, 5):
        other = ClinicSide(agreed, name(peer), enrolment_key(peer), Remembered())
        adverts.append(other.advertise(agreed.context(task(model=CRAFTED), 1), task(model=CRAFTED)))
    with pytest.raises(FederationError, match="keys of 'clinic-0001' are not signed by it"):
        side.deal(Cohort(tuple(adverts)))


def test_clinics_that_do_not_look_at_the_model_give_an_update_away() -> None:
    total = Federation(terms(5), OF_CRAFTED, task=task(model="0" * 64)).run()["delta"]
    np.testing.assert_allclose(total, VALUES[VICTIM]["delta"], atol=1e-7)


def test_a_round_is_opened_once() -> None:
    """Also after a restart, in another run of the plan, and with another model."""
    first = Federation(terms(5), VALUES)
    first.run()
    for asked in (task(), replace(task(), run=8), task(model=CRAFTED)):
        second = Federation(terms(5), VALUES, attempt=2, task=asked, logs=first.logs)
        with pytest.raises(FederationError, match="signed already for 'train' of round 1") as refused:
            second.run()
        assert "next round" in refused.value.remedy
    assert Federation(terms(5), VALUES, task=task(round=2), logs=first.logs).run()


def test_a_round_that_is_opened_twice_shows_who_was_missing() -> None:
    everybody = Federation(terms(5), VALUES).run()["delta"]
    again = Federation(terms(5), VALUES, {VICTIM: MASKED}, attempt=2).run()["delta"]  # fresh logs
    np.testing.assert_allclose(everybody - again, VALUES[VICTIM]["delta"], atol=1e-7)


def test_two_attempts_side_by_side_open_one_sum() -> None:
    """Both are at the list of survivors before either is signed."""
    one = Federation(terms(5), VALUES)
    other = Federation(terms(5), VALUES, {VICTIM: MASKED}, attempt=2, logs=one.logs)
    for each in (one, other):
        each.deal(each.keys())
        each.sums()
    with pytest.raises(FederationError, match="Attempt 1 for 'train' of round 1 is over"):
        one.open()
    assert other.open()
    third = Federation(terms(5), VALUES, attempt=3, logs=one.logs)
    with pytest.raises(FederationError, match="signed already"):
        third.keys()


def test_more_attempts_than_the_draw_of_the_graph_allows_are_refused() -> None:
    agreed = terms(5)
    assert victim(agreed).advertise(agreed.context(task(), MOST_ATTEMPTS), task())
    for attempt in (0, MOST_ATTEMPTS + 1):
        with pytest.raises(FederationError, match=f"attempt {attempt} of 3"):
            victim(agreed).advertise(agreed.context(task(), attempt), task())


# Each list has three names, as the threshold of five clinics without colluders asks; each clinic is in its
# own. Clinics 2, 3 and 4 are alive by some lists and dead by others, so that nobody but 0 and 1 stays masked.
LISTS = {0: (0, 1, 2), 1: (0, 1, 3), 2: (0, 1, 2), 3: (0, 1, 3), 4: (0, 1, 4)}


def dead_and_alive(signers: str = "all") -> tuple[Federation, list[ReleasedShares]]:
    """A server that names clinics dead to some and alive to others, and takes what it is given.

    Each clinic gets the signatures of its list by all clinics in it, or by those only that signed the same.
    """
    federation = Federation(terms(5, 0), VALUES)
    federation.deal(federation.keys())
    federation.sums()
    signed = {at: side.sign(Survivors(LISTS[at])) for at, side in federation.clinics.items()}
    released = []
    for at, side in federation.clinics.items():
        others = [other for other in LISTS[at] if signers == "all" or LISTS[other] == LISTS[at]]
        with suppress(FederationError):
            released.append(side.release(Signatures(tuple(signed[other] for other in others))))
    return federation, released


@pytest.mark.parametrize("signers", ["all", "same"])
def test_no_peer_is_dead_and_alive(signers: str) -> None:
    _, released = dead_and_alive(signers)
    assert not released


def test_where_lists_are_not_compared_a_sum_of_two_clinics_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClinicSide, "_check_signatures", lambda self, signatures: None)
    federation, released = dead_and_alive()
    session = federation.server._session
    total = masked_of(federation, 0) + masked_of(federation, 1)
    for clinic in (0, 1):
        seed = opened(released, clinic, Secret.SELF_SEED)
        add_self_mask(total, seed, session.digest, clinic, subtract=True)
    for clinic in (2, 3, 4):
        key = opened(released, clinic, Secret.MASK_KEY)
        for peer in (0, 1):
            agreed = agree(private_key(key), session.adverts[peer].mask_key)
            add_pair_mask(total, agreed, session.digest, peer, clinic, subtract=True)
    two = VALUES[0]["delta"] + VALUES[1]["delta"]
    np.testing.assert_allclose(federation.terms.layout.decode(total)["delta"], two, atol=1e-7)


def opened(released: list[ReleasedShares], clinic: int, secret: Secret) -> bytes:
    shares = {
        each.clinic: share for each in released for of, s, share in each.shares if (of, s) == (clinic, secret)
    }
    return combine_shares(shares, 3)


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        ((1, 2, 3, 4), "lacks this clinic"),
        ((0, 1, 2), "has 3 clinics of the 4"),
        ((0, 1, 2, 3, 5), "a clinic that sent no keys"),
    ],
)
def test_a_list_that_cannot_be_is_not_signed(listed: tuple[int, ...], why: str) -> None:
    federation = Federation(terms(5), VALUES)
    federation.deal(federation.keys())
    federation.sums()
    side = federation.clinics[VICTIM]
    with pytest.raises(FederationError, match=why):
        side.sign(Survivors(listed))
    assert list(federation.logs[VICTIM].sums.values()) == [["1"]]
    with pytest.raises(FederationError, match="'done' is due"):
        side.sign(Survivors((0, 1, 2, 3, 4)))


def test_a_survivor_that_dealt_nothing_is_refused() -> None:
    """Its masks with this clinic would be missing."""
    federation = Federation(terms(5), VALUES)
    federation.deal(federation.keys())
    side = federation.clinics[VICTIM]
    delivered = federation.server.close_shares()[VICTIM]
    side.mask(DeliveredShares(delivered.shares[:-1]), VALUES[VICTIM])
    with pytest.raises(FederationError, match="dealt this clinic no shares"):
        side.sign(Survivors((0, 1, 2, 3, 4)))


def test_signatures_of_others_lists_and_too_few_release_nothing() -> None:
    federation = Federation(terms(5), VALUES)
    federation.deal(federation.keys())
    federation.sums()
    survivors = federation.server.close_masked()
    signed = [side.sign(survivors) for side in federation.clinics.values()]
    forged = signed[1]._replace(clinic=2)
    cases = (
        (signed[:3], "signed by 3 clinics of the 4"),
        ([*signed[:2], forged, *signed[3:]], "not one of the list"),
        ([*signed[:3], signed[0]], "signed by 3 clinics of the 4"),
    )
    for side, (signatures, why) in zip(federation.clinics.values(), cases, strict=False):
        with pytest.raises(FederationError, match=why):
            side.release(Signatures(tuple(signatures)))


def test_signatures_of_another_round_release_nothing() -> None:
    """Of the same list: else a server would need nobody's consent in the rounds that follow."""
    first = Federation(terms(5), VALUES)
    first.run()
    second = Federation(terms(5), VALUES, task=task(round=2))
    second.deal(second.keys())
    second.sums()
    survivors = second.server.close_masked()
    assert survivors == first.server._survivors
    side = second.clinics[VICTIM]
    side.sign(survivors)
    with pytest.raises(FederationError, match="not one of the list"):
        side.release(Signatures(tuple(first.server._signed.values())))


@pytest.mark.parametrize("change", ["flip", "move", "swap"])
def test_changed_shares_are_noticed(change: str) -> None:
    federation = Federation(terms(5), VALUES)
    federation.deal(federation.keys())
    inbox = federation.server.close_shares()
    first, *others = inbox[VICTIM].shares
    changed = {
        "flip": first._replace(sealed=first.sealed[:-1] + bytes([first.sealed[-1] ^ 1])),
        "move": first._replace(sealed=others[0].sealed),
        "swap": first._replace(sealed=inbox[2].shares[1].sealed),  # clinic 1's, for another holder
    }[change]
    with pytest.raises(FederationError, match="said to be of clinic 1 cannot be opened"):
        federation.clinics[VICTIM].mask(DeliveredShares((changed, *others)), VALUES[VICTIM])


def test_different_cohorts_open_no_shares_of_each_other() -> None:
    """A server that shows clinics different lists of keys: their sessions differ, and so do all keys."""
    federation = Federation(terms(5), VALUES)
    cohort = federation.keys()
    short = Cohort(cohort.adverts[:4])
    dealt = [federation.clinics[at].deal(short if at == 1 else cohort) for at in range(4)]
    share = next(share for share in dealt[1].shares if share.clinic == VICTIM)
    with pytest.raises(FederationError, match="said to be of clinic 1"):
        federation.clinics[VICTIM].mask(DeliveredShares((SealedShare(1, share.sealed),)), VALUES[VICTIM])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda adverts, old: adverts[:3], "has 3 clinics of the 4"),
        (lambda adverts, old: adverts[1:], "lacks this clinic's own"),
        (lambda adverts, old: (old, *adverts[1:]), "lacks this clinic's own"),
        (lambda adverts, old: (*adverts, replace(old, clinic=5)), "not in the roster"),
    ],
)
def test_a_list_of_keys_that_cannot_be_is_refused(
    change: Callable[..., tuple[Advert, ...]], why: str
) -> None:
    federation = Federation(terms(5), VALUES)
    old = victim(federation.terms).advertise(federation.server.context, task())  # of before a restart
    cohort = federation.keys()
    with pytest.raises(FederationError, match=why) as refused:
        federation.clinics[VICTIM].deal(Cohort(change(cohort.adverts, old)))
    assert refused.value.remedy


def test_a_copied_key_is_refused() -> None:
    """A clinic that advertises another's key would have the same secret with everybody."""
    federation = Federation(terms(5), VALUES)
    cohort = federation.keys()
    context = federation.server.context.digest
    copy = sign_advert(enrolment_key(4), context, replace(cohort.adverts[3], clinic=4))
    with pytest.raises(FederationError, match="same key twice"):
        federation.clinics[VICTIM].deal(Cohort((*cohort.adverts[:4], copy)))


def test_a_key_with_which_anybody_agrees_is_refused() -> None:
    with pytest.raises(FederationError, match="not a usable X25519 key"):
        agree(private_key(secrets.token_bytes(32)), bytes(32))


def test_each_step_is_taken_once() -> None:
    federation = Federation(terms(5), VALUES)
    federation.run()
    side = federation.clinics[VICTIM]
    for again in (
        lambda: side.advertise(federation.server.context, task()),
        lambda: side.deal(federation.server._cohort),
        lambda: side.mask(DeliveredShares(()), VALUES[VICTIM]),
        lambda: side.sign(Survivors((0, 1, 2, 3, 4))),
        lambda: side.release(Signatures(())),
    ):
        with pytest.raises(FederationError, match="'done' is due"):
            again()


def test_a_restart_forgets_no_signed_list(tmp_path: Any) -> None:
    agreed, path = terms(5), tmp_path / "sums.json"
    federation = Federation(
        agreed, VALUES, logs={VICTIM: SumLogFile(path), **{at: Remembered() for at in range(1, 5)}}
    )
    federation.run()
    side = ClinicSide(agreed, name(VICTIM), enrolment_key(VICTIM), SumLogFile(path))
    with pytest.raises(FederationError, match="signed already"):
        side.advertise(agreed.context(task(), 2), task())


def test_an_attempt_is_begun_once() -> None:
    """Else a server could ask for it again and again, until it likes the graph that is drawn."""
    agreed, log = terms(5), Remembered()
    for attempt in (1, 2, 3):
        context = agreed.context(task(), attempt)
        ClinicSide(agreed, name(VICTIM), enrolment_key(VICTIM), log).advertise(context, task())
        again = ClinicSide(agreed, name(VICTIM), enrolment_key(VICTIM), log)
        with pytest.raises(FederationError, match=f"Attempt {attempt} .* was begun already"):
            again.advertise(context, task())
