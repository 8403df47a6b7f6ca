"""``fl-client plans``, ``approve`` and ``refuse``: decide on the coordinator's plans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermafed.client.commands.options import HERE, AsJson, Folder, open_home, print_json, print_lines
from dermafed.console import stderr
from dermafed.shared.errors import SettingsError

if TYPE_CHECKING:
    from dermafed.client.node.clinic_settings import Limits
    from dermafed.client.node.offers import StoredOffer
    from dermafed.shared.protocol.offer import Offer

Plan = Annotated[str, typer.Argument(show_default=False)]


def plans(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Show the coordinator's plans, and this clinic's decisions.

    **Examples**

        fl-client plans

        fl-client plans --json
    """
    from dermafed.client.node.home import read_settings
    from dermafed.client.node.offers import Offers

    home = open_home(folder)
    limits = read_settings(home).limits
    known = Offers(home.offers).load_all()
    if as_json:
        print_json([_as_dict(hash, one, limits) for hash, one in known.items()])
        return
    for hash, one in known.items():
        _print(hash, one, limits)
    if not known:
        stderr().print("No plan has come yet. Plans come while fl-client start runs.")


def approve(plan: Plan, folder: Folder = HERE) -> None:
    """Approve a plan: this clinic joins, and sends what the plan lists.

    PLAN is the start of its hash, or its name.

    **Examples**

        fl-client approve 3f9a

        fl-client approve first-run --dir /srv/dermafed
    """
    _decide(plan, folder, "approved")


def refuse(plan: Plan, folder: Folder = HERE) -> None:
    """Refuse a plan, or stop taking part in one that was approved.

    PLAN is the start of its hash, or its name. The coordinator learns that someone here refused it.

    **Examples**

        fl-client refuse 3f9a

        fl-client refuse first-run --dir /srv/dermafed
    """
    _decide(plan, folder, "refused")


def _decide(plan: str, folder: Path, decision: str) -> None:
    from dermafed.client.node.home import read_settings
    from dermafed.client.node.offers import Offers
    from dermafed.client.node.plan_roster import roster_faults
    from dermafed.shared.protocol.agreement import Decision

    home = open_home(folder)
    offers = Offers(home.offers)
    hash, stored = offers.find_plan(plan)
    never = read_settings(home).limits.never(stored.offer) + roster_faults(home, stored.offer)
    if never and decision == "approved":
        raise SettingsError(
            f"Nobody can approve this plan: {'; '.join(never)}",
            where=stored.offer.name,
            remedy="Ask the coordinator for another; the least numbers are those of [limits] in clinic.toml",
        )
    offers.decide(hash, Decision(decision))
    _print(hash, offers.find_plan(hash)[1], read_settings(home).limits)


def _print(hash: str, known: StoredOffer, limits: Limits) -> None:
    print_lines(f"{hash[:12]}  {known.offer.name}: {_decision(known)}")
    print_lines(*(f"    {line}" for line in describe(known, limits)))


def describe(known: StoredOffer, limits: Limits) -> list[str]:
    """What a plan asks for and what the clinic would send, in lines for the person who decides."""
    from dermafed.client.node.plan_roster import describe_sums
    from dermafed.shared.protocol.defence_words import rule_line

    offer = known.offer
    model, recipe = offer.model, offer.recipe
    beyond = limits.beyond(offer)
    in_sums = offer.dp is not None and offer.dp.in_sums
    work, sample = ("a step", "drawn patients") if in_sums else (recipe.work, f"{recipe.batch_size} images")
    return [
        f"asks for {offer.rounds} rounds of {work}, strategy {offer.strategy}",
        f"steps of {sample} at a learning rate of {recipe.learning_rate:g}",
        *_guidance(offer),
        f"costs about {', '.join(_price(offer))}",
        f"model: {model.backbone}, {model.image_size} pixels, classes {', '.join(model.classes)}"
        + ("; with age, sex and body site" if model.metadata else ""),
        *_exact_head(offer),
        f"explanations of the last model: {'asked for' if offer.explain else 'no'}",
        f"calibration of the last model: {'asked for' if offer.calibrate else 'no'}",
        f"differential privacy: {_private(offer)}",
        rule_line(offer),
        *describe_sums(offer),
        *_settings(offer),
        *(f"sends: {what}" for what in offer.sends),
        *(f"beyond your limits: {what}" for what in beyond),
    ]


_PART = ", which the clinics of a secure sum add in parts: each step is one sum"


def _private(offer: Offer) -> str:
    from dermafed.shared.protocol.private_plan import noise_of

    if (dp := offer.dp) is None:
        return "none"
    noise = noise_of(dp, offer.recipe, offer.rounds).training
    return (
        f"epsilon {dp.epsilon:g} at delta {dp.delta:g} of each patient; the last layer alone is trained, in "
        f"{noise.times} steps, each of a share of {dp.rate:g} of the patients and with a noise of "
        f"{noise.noise:.2f} times the largest gradient{_PART if dp.in_sums else ''}"
    )


def _guidance(offer: Offer) -> Iterator[str]:
    if offer.recipe.guidance:
        yield (
            f"evidence outside the lesion counts {offer.recipe.guidance:g} times in the loss of images with "
            "lesion masks: these stay here"
        )


def _exact_head(offer: Offer) -> Iterator[str]:
    from dermafed.shared.protocol.plan import EXACT_HEAD

    if offer.refit != "none":
        yield f"the last layer anew after the last round: {offer.refit}"
    if offer.own_layer:
        yield "a last layer of your own, near the last model's: it stays here"
    if offer.strategy == EXACT_HEAD or offer.refit != "none":
        yield f"sums of features: of clinics with at least {offer.recipe.head_images} training images"
        yield "    with fewer images than features, they tell of any image whether it is among them"


def _price(offer: Offer) -> Iterator[str]:
    from dermafed.shared.settings import keys_of

    price = offer.price
    for name, key in keys_of(type(price)).items():
        yield key.key.asks.format(getattr(price, name))


def _settings(offer: Offer) -> Iterator[str]:
    """Every key of the plan's parts with its value."""
    from dermafed.shared.protocol.offer import OFFER_PARTS, offer_keys
    from dermafed.shared.settings import Settings

    for part in OFFER_PARTS:
        settings = getattr(offer, part)
        names = [key.name for of, key in offer_keys() if of == part and key.name != "classes"]
        values = {name: getattr(settings, name) for name in names}
        texts = (
            f"{name} {one.to_dict() if isinstance(one, Settings) else one}" for name, one in values.items()
        )
        yield f"all of {settings.section}: {', '.join(texts)}"


def _decision(known: StoredOffer) -> str:
    if not known.by:
        return "waits for you: fl-client approve or refuse"
    by = "someone here" if known.by == "person" else "your limits"
    return f"{known.decision.value} by {by}, {known.decided}"


def _as_dict(hash: str, known: StoredOffer, limits: Limits) -> dict[str, Any]:
    return {
        "hash": hash,
        "name": known.offer.name,
        "decision": known.decision.value,
        "reason": known.reason.value,
        "by": known.by,
        "asked": known.asked,
        "decided": known.decided,
        "beyond_limits": limits.beyond(known.offer),
        "offer": json.loads(known.text),
    }
