"""``fl-client privacy``: what patients have spent, and how each approved plan protects them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dermafed.client.commands.options import HERE, AsJson, Folder, open_home, print_json, print_lines

if TYPE_CHECKING:
    from dermafed.client.node.ledger import Budget, Charge
    from dermafed.client.node.offers import StoredOffer
    from dermafed.shared.protocol.offer import Offer

_SEEN = (
    "the server sees this clinic's own update: it can test whether an image was trained on",
    "and it sees exact counts, losses and histograms, as docs/privacy.md lists them",
)
_SEEN_IN_SUMS = (
    "the server sees sums over clinics of updates, counts, losses and histograms, none of this clinic's own",
    "and of sums with and without this clinic the difference, as docs/secure-sums.md says",
)
_SEEN_IN_GROUPS = (
    "and of each round the mean change of this clinic's group, whose clinics are others in each round",
)
_SEEN_WITH_NOISE = (
    "the server learns of any patient no more than epsilon says, whatever model it sends",
    "and without noise the seconds of work, which grow with the number of images",
)


def privacy(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Show what runs have spent of the patients' privacy, and how each approved plan protects them.

    The budget is `[privacy]` in clinic.toml. What is spent stays spent, over all runs.

    **Examples**

        fl-client privacy

        fl-client privacy --json
    """
    from dermafed.client.node.home import read_settings
    from dermafed.client.node.ledger import Ledger
    from dermafed.client.node.offers import Offers
    from dermafed.shared.protocol.agreement import Decision

    home = open_home(folder)
    budget = read_settings(home).privacy.budget
    charges = [entry.charge for entry in Ledger(home.ledger).entries()]
    offers = {
        hash: one for hash, one in Offers(home.offers).load_all().items() if one.decision is Decision.APPROVED
    }
    if as_json:
        print_json(_as_dict(charges, budget, offers))
        return
    print_lines(*_ledger_lines(charges, budget, offers))
    for hash, one in offers.items():
        print_lines(f"{hash[:12]}  {one.offer.name}", *(f"    {line}" for line in defences(one)))


def defences(stored: StoredOffer) -> list[str]:
    """How an approved plan protects patients, and what a server could have learnt, in lines for people."""
    from dermafed.shared.protocol.defence_words import rule_line

    return [rule_line(stored.offer), *_of_patients(stored.offer), *_asked_for(stored.offer)]


def _of_patients(offer: Offer) -> list[str]:
    from dermafed.client.node.plan_roster import describe_sums

    dp, is_secure = offer.dp, offer.privacy.is_secure
    if dp is None and is_secure:
        seen = _SEEN_IN_SUMS if offer.groups == 1 else _SEEN_IN_SUMS + _SEEN_IN_GROUPS
        return ["differential privacy: none", *describe_sums(offer), *seen]
    if dp is None:
        return ["differential privacy: none", "secure sums: none", *_SEEN]
    private = f"differential privacy: epsilon {dp.epsilon:g} at delta {dp.delta:g} of a patient, noise added "
    if is_secure:
        sums = ["trained: the last layer", *describe_sums(offer)]
        return [f"{private}in parts, within secure sums", *sums, *_SEEN_WITH_NOISE]
    return [f"{private}here", "trained: the last layer; secure sums: none", *_SEEN_WITH_NOISE]


def _asked_for(offer: Offer) -> Iterator[str]:
    """What a server could have learnt more by what the plan also asks for."""
    from dermafed.shared.protocol.plan import EXACT_HEAD

    if offer.strategy == EXACT_HEAD or offer.refit != "none":
        yield "and sums of features: with fewer images than features, of any image whether it is among them"
    asked = {
        "calibration": offer.calibrate,
        "a lesion finder": offer.lesion_finder,
        "an audit": offer.audit_model,
        "explanations": offer.explain,
    }
    if named := [name for name, is_asked in asked.items() if is_asked]:
        yield f"and this clinic's own sums for {', '.join(named)}: of few images, close to single ones"


def _ledger_lines(charges: Sequence[Charge], budget: Budget, offers: dict[str, StoredOffer]) -> Iterator[str]:
    from dermafed.client.node.ledger import spent_epsilon

    spent = spent_epsilon(charges, budget.delta)
    left = max(0.0, budget.epsilon - spent)
    yield f"of each patient, at delta {budget.delta:g}: epsilon {spent:.3g} spent, {left:.3g} left"
    for plan, own in _by_plan(charges).items():
        yield f"{plan[:12]}  {own[0].name}: epsilon {spent_epsilon(own, budget.delta):.3g}"
        if plan in offers and (dp := offers[plan].offer.dp):
            by_plan = spent_epsilon(own, dp.delta)
            allowed = f"of the plan's {dp.epsilon:g} at delta {dp.delta:g}"
            yield f"    {allowed}: {by_plan:.3g} spent, {max(0.0, dp.epsilon - by_plan):.3g} left"
        for count, one in enumerate(own, start=1):
            times = f"{one.times} sums" if one.times > 1 else "a sum"
            where = f"round {one.round}, " if one.round else ""
            so_far = f"epsilon {spent_epsilon(own[:count], budget.delta):.3g} so far"
            cost = f"{times} with noise {one.noise:.3g}, rate {one.rate:g}; {so_far}"
            yield f"    {one.time}  {where}{one.what}: {cost}"


def _by_plan(charges: Sequence[Charge]) -> dict[str, list[Charge]]:
    plans = dict.fromkeys(one.plan for one in charges)
    return {plan: [one for one in charges if one.plan == plan] for plan in plans}


def _as_dict(charges: Sequence[Charge], budget: Budget, offers: dict[str, StoredOffer]) -> dict[str, Any]:
    from dataclasses import asdict

    from dermafed.client.node.ledger import spent_epsilon

    return {
        "budget": asdict(budget),
        "spent": spent_epsilon(charges, budget.delta),
        "plans": [
            {
                "hash": plan,
                "name": own[0].name,
                "spent": spent_epsilon(own, budget.delta),
                "releases": [asdict(one) for one in own],
            }
            for plan, own in _by_plan(charges).items()
        ],
        "defences": {hash: defences(one) for hash, one in offers.items()},
    }
