"""``fl-client privacy``: what patients have spent, and how each approved plan protects them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dermafed.client.commands.options import HERE, AsJson, Folder, open_home, print_json, print_lines

if TYPE_CHECKING:
    from dermafed.client.node.ledger import Budget, Charge
    from dermafed.client.node.offers import StoredOffer

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
    print_lines(*_ledger_lines(charges, budget))
    for hash, one in offers.items():
        print_lines(f"{hash[:12]}  {one.offer.name}", *(f"    {line}" for line in defences(one)))


def defences(stored: StoredOffer) -> list[str]:
    """How an approved plan protects patients, and what a server could have learnt, in lines for people."""
    from dermafed.client.node.plan_roster import describe_sums

    if stored.offer.privacy.is_secure:
        seen = _SEEN_IN_SUMS if stored.offer.groups == 1 else _SEEN_IN_SUMS + _SEEN_IN_GROUPS
        return ["differential privacy: none", *describe_sums(stored.offer), *seen]
    if (dp := stored.offer.dp) is None:
        return ["differential privacy: none", "secure sums: none", *_SEEN]
    return [
        f"differential privacy: epsilon {dp.epsilon:g} at delta {dp.delta:g} of a patient, noise added here",
        "trained: the last layer; secure sums: none",
        *_SEEN_WITH_NOISE,
    ]


def _ledger_lines(charges: Sequence[Charge], budget: Budget) -> Iterator[str]:
    from dermafed.client.node.ledger import spent_epsilon

    spent = spent_epsilon(charges, budget.delta)
    left = max(0.0, budget.epsilon - spent)
    yield f"of each patient, at delta {budget.delta:g}: epsilon {spent:.3g} spent, {left:.3g} left"
    for plan, own in _by_plan(charges).items():
        yield f"{plan[:12]}  {own[0].name}: epsilon {spent_epsilon(own, budget.delta):.3g}"
        for one in own:
            times = f"{one.times} sums" if one.times > 1 else "a sum"
            where = f"round {one.round}, " if one.round else ""
            yield f"    {one.time}  {where}{one.what}: {times} with noise {one.noise:.3g}, rate {one.rate:g}"


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
