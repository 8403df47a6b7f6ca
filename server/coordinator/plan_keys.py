"""The keys that a plan file may have: their types and defaults, those of ``fl-simulate`` on real images."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

from dermafed.shared.errors import SettingsError

LABELS = "labels"
"""The section whose keys are the clinics' own labels."""


class Key(NamedTuple):
    """What a key may hold, and what it is without the user's word; ``None``: it depends on the others."""

    kind: str
    default: Any = None


_WORD, _WHOLE, _NUMBER, _YES_NO = "a text", "a whole number", "a number", "true or false"
_WORDS, _WORD_OR_WORDS = "a list of texts", "a text or a list of texts"

SECTIONS: Mapping[str, Mapping[str, Key]] = {
    "": {
        "name": Key(_WORD),
        "clinics": Key(_WORDS),
        "rounds": Key(_WHOLE, 32),
        "strategy": Key(_WORD, "fedavg"),
        "weights": Key(_WORD, "imagenet"),
        "seed": Key(_WHOLE, 0),
        "split": Key(_WORD, "drawn"),
        "explain": Key(_YES_NO, False),
        "calibrate": Key(_YES_NO, True),
        "threads": Key(_WHOLE),
    },
    "model": {
        "classes": Key(_WORD_OR_WORDS, "paper"),
        "backbone": Key(_WORD, "EfficientNetB0"),
        "image_size": Key(_WHOLE, 128),
        "batch_norm": Key(_WORD, "fixed"),
        "frozen_blocks": Key(_WHOLE),
        "dropout": Key(_NUMBER, 0.2),
        "metadata": Key(_YES_NO, False),
    },
    "preprocess": {
        "fit": Key(_WORD, "crop"),
        "denoise": Key(_WORD, "bm3d"),
        "sigma": Key(_NUMBER),
        "clahe": Key(_YES_NO, True),
        "clahe_clip": Key(_NUMBER, 2.0),
        "clahe_grid": Key(_WHOLE),
    },
    "training": {
        "epochs": Key(_NUMBER, 0.25),
        "steps": Key(_WHOLE),
        "batch_size": Key(_WHOLE, 16),
        "optimizer": Key(_WORD, "adamw"),
        "momentum": Key(_NUMBER, 0.9),
        "learning_rate": Key(_NUMBER, 5e-4),
        "schedule": Key(_WORD, "cosine"),
        "warmup": Key(_NUMBER, 0.1),
        "weight_decay": Key(_NUMBER, 1e-4),
        "balance": Key(_WORD, "logits"),
        "focus": Key(_NUMBER, 0.0),
        "label_smoothing": Key(_NUMBER, 0.0),
        "augment": Key(_YES_NO, True),
        "tones": Key(_YES_NO, False),
        "group_balance": Key(_WORD, "none"),
    },
    "rules": {
        "quorum": Key(_NUMBER, 0.5),
        "deadline": Key(_WORD, "30m"),
        "approval": Key(_WORD, "24h"),
        "wait": Key(_WORD, "10m"),
        "attempts": Key(_WHOLE, 3),
        "patience": Key(_WHOLE),
    },
}


def fill_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """The plan's keys with every default, sections as mappings.

    Raises:
        SettingsError: a key is missing, unknown, or of another type; names it.
    """
    names = [section for section in SECTIONS if section]
    top = {key: value for key, value in given.items() if key not in (*names, LABELS)}
    values = _section("", top, hints=(*names, LABELS))
    for name in names:
        values[name] = _section(name, _table(given, name))
    values[LABELS] = {
        _typed(f"{LABELS}.{label}", label, _WORD): _typed(f"{LABELS}.{label}", of, _WORD)
        for label, of in _table(given, LABELS).items()
    }
    if values["name"] is None:
        raise SettingsError("The plan has no name", where="name", remedy='Add a line: name = "spring-2027"')
    return values


def _section(section: str, given: Mapping[str, Any], hints: tuple[str, ...] = ()) -> dict[str, Any]:
    known = SECTIONS[section]
    prefix = f"{section}." if section else ""
    for key in given:
        if key not in known:
            raise _unknown(prefix, key, (*known, *hints))
    typed = {key: _typed(f"{prefix}{key}", value, known[key].kind) for key, value in given.items()}
    return {key: typed.get(key, which.default) for key, which in known.items()}


def _table(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = given.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(
            f"'{name}' is no section", where=name, remedy=f"Write a line [{name}] above its keys"
        )
    return table


def _unknown(prefix: str, key: str, known: tuple[str, ...]) -> SettingsError:
    near = difflib.get_close_matches(key, known, n=1)
    elsewhere = [
        f"[{name}]" if name else "no section, at the top" for name, keys in SECTIONS.items() if key in keys
    ]
    if elsewhere:
        remedy = f"Write it under {elsewhere[0]}"
    else:
        remedy = f"Perhaps '{near[0]}' is meant" if near else f"The keys there are {', '.join(known)}"
    return SettingsError(f"There is no key '{key}'", where=f"{prefix}{key}", remedy=remedy)


def _typed(place: str, value: Any, kind: str) -> Any:
    right = {
        _WORD: type(value) is str,
        _WHOLE: type(value) is int,
        _NUMBER: type(value) in (int, float),
        _YES_NO: type(value) is bool,
        _WORDS: _is_texts(value),
        _WORD_OR_WORDS: type(value) is str or _is_texts(value),
    }
    if not right[kind]:
        raise SettingsError(f"{value!r} is not {kind}", where=place, remedy=f"Give {kind}")
    return value


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is str for item in value)
