"""The head of a model card, in YAML, as Hugging Face's model card specification has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from dermafed.server.model_card.facts import CardFacts, enough_of_each, told_tests

_METRICS = {
    "balanced_accuracy": ("balanced_accuracy", "Balanced accuracy"),
    "accuracy": ("accuracy", "Accuracy"),
    "auc": ("roc_auc", "AUC, mean of each class against the rest"),
    "f1": ("f1", "F1, mean over the classes"),
}
"""Our figures: their names on the Hub, and for people."""

_TASK = {"type": "image-classification", "name": "Skin lesion classification"}


def front_matter(facts: CardFacts) -> str:
    """The YAML between the two lines ``---``.

    The licence is ``unknown`` until whoever publishes the model states it: the images' licences bind it.

    Args:
        facts: of the run.
    """
    content = {
        "license": "unknown",
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["dermatology", "dermoscopy", "federated-learning", *(["synthetic"] * facts.synthetic)],
        "metrics": [name for name, _ in _METRICS.values()],
        "model-index": [{"name": facts.name, "results": list(_results(facts))}],
    }
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return text


def _results(facts: CardFacts) -> Iterator[dict[str, Any]]:
    if facts.training["batch_norm"] == "local":
        return  # the clinics were judged with models that are not in the file
    for name, figures in told_tests(facts.tests).items():
        told = figures if enough_of_each(figures) else {"accuracy": figures["accuracy"]}
        yield _result(f"Test images of {name}", "test", told)
    if not facts.tests and facts.validation is not None:
        judged = {
            name.removeprefix("validation_"): value
            for name, value in facts.validation.items()
            if name.startswith("validation_")
        }
        yield _result("Validation images of all clinics", "validation", judged)


def _result(name: str, split: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    metrics = [
        {"type": kind, "name": label, "value": round(figures[figure], 4)}
        for figure, (kind, label) in _METRICS.items()
        if figures.get(figure) is not None
    ]
    return {
        "task": dict(_TASK),  # one of its own: YAML would name and reuse the first
        "dataset": {"type": "dermoscopy", "name": name, "split": split},
        "metrics": metrics,
    }
