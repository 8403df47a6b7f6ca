"""The result of a run in sentences, computed from its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def headline(result: Mapping[str, Any]) -> str:
    """Answer "how good is the federation, and compared with what?" in one sentence.

    Args:
        result: the run's result (the content of ``result.json``).

    Returns:
        Balanced accuracy on the pooled test, of the arms that were run and of guessing; of drawn images it
        says so first.
    """
    count = len(result["clinics"])
    clinics = "one clinic" if count == 1 else f"{_number(count)} clinics"
    who = f"{'On synthetic images, the' if is_synthetic(result) else 'The'} federation of {clinics}"
    compared = [f"{chance(result):.2f} by guessing"]
    if result["local"]:
        alone = f"{result['local']['balanced_accuracy']:.2f}"
        compared.append(f"{alone} by the clinics' own models on average")
    if result["pooled"]:
        pooled = f"{result['pooled']['balanced_accuracy']:.2f}"
        compared.append(f"{pooled} by training on all images pooled, which clinics may not do")
    score = f"{result['federated']['balanced_accuracy']:.2f}"
    return f"{who} reaches {score} balanced accuracy, compared with {listed(compared)}."


def is_synthetic(result: Mapping[str, Any]) -> bool:
    """Whether the run's images were drawn: its figures say nothing about patients."""
    return bool(result["settings"].get("data") == "synthetic")


def chance(result: Mapping[str, Any]) -> float:
    """Balanced accuracy of guessing on the pooled test: one of the classes that it has."""
    return 1 / (len(result["classes"]) - len(result["federated"]["test"]["absent"]))


def verdict(result: Mapping[str, Any]) -> str:
    """State how large the gain is, and whether this test could distinguish it from chance.

    Args:
        result: the run's result.

    Returns:
        One or two sentences; empty without the arm that trains each clinic alone.
    """
    if not result["local"]:
        return ""
    federated, alone = result["federated"], result["local"]["balanced_accuracy"]
    gain = federated["balanced_accuracy"] - alone
    sentence = f"That is {_points(gain)} {'more' if gain >= 0 else 'less'} than working alone"
    if result["pooled"]:
        distance = result["pooled"]["balanced_accuracy"] - federated["balanced_accuracy"]
        sentence += f" and {_points(distance)} {'short of' if distance >= 0 else 'above'} pooling"
    return f"{sentence}. {_caution(federated['test'], alone)}".strip()


def _points(difference: float) -> str:
    points = round(100 * abs(difference))
    return "1 point" if points == 1 else f"{points} points"


def _caution(test: Mapping[str, Any], alone: float) -> str:
    interval = test["intervals"]["balanced_accuracy"]
    if not interval or not interval["low"] <= alone <= interval["high"]:
        return ""
    return (
        f"With {test['images']} test images that difference may be chance: the federated model's 95 % "
        f"interval, {interval['low']:.2f} to {interval['high']:.2f}, includes the clinics' own mean."
    )


def duration(seconds: float) -> str:
    """Format seconds: ``45 s``, ``5 min 45 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def number(value: float | None) -> str:
    """Format with three decimals, or as a dash where the value is undefined."""
    return "–" if value is None else f"{value:.3f}"


def spaced(name: str) -> str:
    """Format a class name: ``seborrheic keratosis``."""
    return name.replace("_", " ")


def setting(value: object) -> str:
    """Format the value of a setting."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return str(value)


def listed(parts: Sequence[str]) -> str:
    """The parts as one enumeration, with "and" before the last."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)
