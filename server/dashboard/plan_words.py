"""A run's plan in sentences, for people who do not read TOML."""

from __future__ import annotations

from dermafed.server.coordinator.run_plan import RunPlan, format_duration
from dermafed.shared.protocol.defence_words import defence_words
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.report.sentences import listed, spaced

_WEIGHTS = {
    "none": "random weights",
    "imagenet": "weights trained on ImageNet",
    "lite0": "weights of EfficientNet-Lite0, trained on ImageNet",
}


def plan_words(plan: RunPlan, clinics: int) -> list[str]:
    """The plan in sentences.

    Args:
        plan: the plan.
        clinics: how many are asked.
    """
    offer = plan.offer
    return [
        _model(plan),
        _training(offer),
        _rules(plan, clinics),
        *defence_words(offer),
        *_afterwards(offer),
    ]


def _model(plan: RunPlan) -> str:
    model = plan.offer.model
    names = listed([spaced(name) for name in model.classes])
    start = _WEIGHTS.get(plan.weights, "the weights of a file")
    words = (
        f"An {model.backbone} of {model.image_size} pixels learns to tell {names} apart. "
        f"It starts from {start}."
    )
    if model.features == "lesion":
        words += " Its last layer reads the lesion, where a finder finds one."
    return words


def _training(offer: Offer) -> str:
    recipe, dp = offer.recipe, offer.dp
    if dp is not None and dp.in_sums:
        return (
            f"Each of {offer.rounds} rounds is one step of the last layer, by the gradients of a share of "
            f"{dp.rate:g} of every clinic's patients, at a learning rate of up to {recipe.learning_rate:g}. "
            f"The strategy {offer.strategy} takes it, and every clinic evaluates the model."
        )
    passes = "1 pass" if recipe.epochs == 1 else f"{recipe.epochs:g} passes"
    work = f"{recipe.steps} steps" if recipe.steps else f"{passes} over its own images"
    guided = f" In the loss, evidence outside of lesion masks counts {recipe.guidance:g} times."
    return (
        f"In each of {offer.rounds} rounds, every clinic trains for {work}, {recipe.batch_size} images a "
        f"step, at a learning rate of up to {recipe.learning_rate:g}.{guided if recipe.guidance else ''} The "
        f"strategy {offer.strategy} makes one model of theirs, and every clinic evaluates it on its "
        "validation images."
    )


def _rules(plan: RunPlan, clinics: int) -> str:
    rules = plan.round_rules(clinics)
    words = (
        f"A round needs {rules.needed} of the {clinics} clinics. They have {format_duration(rules.deadline)} "
        f"to train and as long to evaluate; after {rules.attempts} attempts without enough replies the run "
        "pauses."
    )
    if rules.largest_share < 1:
        words += f" No clinic has more than {100 * rules.largest_share:g} % of the mean."
    if rules.largest_step is not None:
        words += f" A step of more than {rules.largest_step:g} times the median is "
        words += "left out." if plan.offer.robust.active else "shortened."
    if rules.patience is not None:
        words += f" The run ends early after {rules.patience} rounds without a better model."
    return words


def _afterwards(offer: Offer) -> list[str]:
    done = []
    if offer.refit != "none":
        done.append("the last layer is trained anew")
    if offer.own_layer:
        done.append("each clinic fits a last layer of its own")
    if offer.calibrate:
        done.append("the clinics measure how far the probabilities can be trusted")
    if offer.explain:
        done.append("they measure how good explanations are")
    if offer.lesion_finder:
        done.append("they fit a finder of lesions")
    if offer.audit_model:
        done.append("they audit the model for shortcuts")
    return [f"After the last round, {listed(done)}."] if done else []
