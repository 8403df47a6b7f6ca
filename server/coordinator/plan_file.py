"""``PLAN.toml``: how it is read, how it comes into the record, and how it is documented."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dermafed.server.coordinator.run_plan import LABELS, SECTIONS, Rules, RunPlan
from dermafed.server.record.clinics_table import list_clinics
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import NewRun, Run, add_run, find_run
from dermafed.shared.errors import InputError, SettingsError, StorageError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_info import NAMED_WEIGHTS, check_first_weights
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.names import check_name
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.protocol.compression_settings import CompressionSettings
from dermafed.shared.protocol.defences import check_rules
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.plan import defaults_by_weights
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.robust_settings import RobustSettings
from dermafed.shared.protocol.sent import sent_by
from dermafed.shared.secure_sum.thresholds import MOST_CLINICS
from dermafed.shared.settings import KeyInfo, Settings, keys_of, unknown_key
from dermafed.shared.training.recipe import Recipe

_LONGEST = 100_000  # bytes


def read_plan(path: Path) -> tuple[RunPlan, str]:
    """Read a plan file.

    Returns:
        The plan and the file's text.

    Raises:
        StorageError: the file cannot be read.
        SettingsError: it is not a plan; names the key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST).decode()
    except UnicodeDecodeError as error:
        raise SettingsError("The plan is not UTF-8 text", where=path, remedy="Save it as such") from error
    except OSError as error:
        raise StorageError(
            f"The plan cannot be read: {error.strerror}", where=path, remedy="Check the path"
        ) from error
    plan = parse_plan(text, path)
    with _placed(path):
        check_first_weights(plan.weights, plan.offer.model)
    return plan, text


def parse_plan(text: str, path: Path) -> RunPlan:
    """The plan of a text.

    Args:
        text: TOML.
        path: the file it came from: paths in the plan start at its folder, and messages name it.

    Raises:
        SettingsError: it is not a plan; names the key.
    """
    with _placed(path):
        try:
            return _plan(tomllib.loads(text), path.parent)
        except tomllib.TOMLDecodeError as error:
            what = f"The plan is not valid TOML: {error}"
            raise SettingsError(what, remedy="Correct that line") from error


def request_run(record: Record, path: Path) -> tuple[Run, RunPlan]:
    """Record the run of a plan file, for the server to take up.

    Raises:
        InputError: the plan cannot be used, or names a clinic that is not enrolled.
    """
    plan, text = read_plan(path)
    clinics = _enrolled(record, plan, path)
    with _placed(path):
        plan.round_rules(len(clinics))
        offer = _with_roster(plan.offer, record, clinics)
    run = NewRun(offer.name, text, path.resolve(), clinics, offer.to_text(), offer.hash, offer.rounds)
    add_run(record, run)
    return find_run(record, offer.name), plan


def documented_plan() -> str:
    """A plan file with every key, its default and what it is; keys without a default are commented out."""
    lines: list[str] = []
    for section, keys in SECTIONS.items():
        lines += ["", f"[{section}]"] if section else []
        lines += [_documented(key) for key in keys.values() if not issubclass(key.kind, Settings)]
        if not section:
            lines += [
                "",
                f"[{LABELS}]  # Classes of labels that are not known diagnoses",
                '# MM = "melanoma"',
            ]
        if section == PrivacySettings.section:
            lines += [
                "",
                f"# [{section}.dp]  # Differential privacy by patient, see docs/privacy.md",
                *(_commented(key) for key in keys_of(DifferentialPrivacy).values()),
            ]
    return "\n".join(lines) + "\n"


_PRIVATE_EXAMPLES = {"epsilon": "8", "delta": "1e-5"}


def _commented(key: KeyInfo) -> str:
    value = json.dumps(key.default) if key.name not in _PRIVATE_EXAMPLES else _PRIVATE_EXAMPLES[key.name]
    return f"{f'# {key.name} = {value}':<29} # {key.help_with_choices}".rstrip(".")


def _documented(key: KeyInfo) -> str:
    pretrained = key.key.pretrained
    default = key.default if pretrained is None else pretrained
    value = default if default is not None else key.key.example
    given = default is not None or key.required
    otherwise = f" Without it: {key.key.otherwise}." if key.key.otherwise else ""
    scratch = json.dumps(key.default).strip('"')
    otherwise += f" With weights none: {scratch}." if pretrained is not None else ""
    text = f"{'' if given else '# '}{key.name} = {json.dumps(value)}"
    return f"{text:<29} # {key.help_with_choices}{otherwise}".rstrip(".")


def _plan(given: Mapping[str, Any], folder: Path) -> RunPlan:
    _refuse_unknown(given)
    sections = _filled_in(given)
    top = sections[""]
    weights, clinics = top.pop("weights"), top.pop("clinics", None)
    if "name" not in top:
        raise SettingsError("The plan has no name", where="name", remedy='Add a line: name = "spring-2027"')
    model = ModelSettings.read({"classes": "paper"} | sections["model"])
    privacy = PrivacySettings.read(sections["privacy"])
    robust = RobustSettings.read(sections["robust"])
    check_rules(privacy, sections["rules"])
    offer = Offer(
        **top,
        model=model,
        preprocess=PreprocessSettings.read(sections["preprocess"] | {"image_size": model.image_size}),
        recipe=Recipe.read(sections["training"]),
        labels=given.get(LABELS, {}),
        privacy=privacy,
        robust=robust,
        compression=CompressionSettings.read(sections["compression"]),
        sends=sent_by(privacy, robust),
    )
    check_name(offer.name, "run")
    offer.plan([1] * len(model.classes), threads=1)  # refuses parts that do not fit together
    plan = RunPlan.read(
        {"offer": offer, "clinics": clinics, "weights": weights, "rules": Rules.read(sections["rules"])}
    )
    if plan.clinics is not None and not 0 < len(set(plan.clinics)) == len(plan.clinics):
        what = "The clinics are none, or one of them twice"
        raise SettingsError(what, where="clinics", remedy="Name each clinic once")
    plan.round_rules(len(plan.clinics or ()) or (MOST_CLINICS if privacy.is_secure else 1_000_000))
    if weights in NAMED_WEIGHTS:
        return plan
    return replace(plan, weights=str((folder / weights).absolute()))


def _filled_in(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The keys of each section, with the defaults that depend on the first weights."""
    own = {section: given.get(section, {}) if section else given for section in SECTIONS}
    weights = given.get("weights", "imagenet")
    by_default = defaults_by_weights(weights, {key: keys[key] for keys in own.values() for key in keys})
    by_default["weights"] = weights
    return {
        section: {key: value for key, value in (by_default | {**keys}).items() if key in SECTIONS[section]}
        for section, keys in own.items()
    }


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    """Refuse keys that no section has, keys in the wrong section, and sections that are not tables."""
    sections = [*filter(None, SECTIONS), LABELS]
    for name in sections:
        if not isinstance(given.get(name, {}), dict):
            remedy = f"Write a line [{name}] above its keys"
            raise SettingsError(f"'{name}' is not a section", where=name, remedy=remedy)
    for section, keys in SECTIONS.items():
        known = [*keys, *sections] if not section else list(keys)
        for name in given.get(section, {}) if section else given:
            if name not in known:
                right = [of for of, own in SECTIONS.items() if name in own]
                place = f"[{right[0]}]" if right and right[0] else "no section, at the top"
                remedy = f"Write it under {place}" if right else ""
                raise unknown_key(name, known, where=f"{section}.{name}" if section else name, remedy=remedy)


def _enrolled(record: Record, plan: RunPlan, path: Path) -> tuple[str, ...]:
    enrolled = tuple(clinic.name for clinic in list_clinics(record, revoked=False))
    unknown = [name for name in plan.clinics or () if name not in enrolled]
    if unknown:
        raise SettingsError(
            f"Not enrolled: {', '.join(unknown)}",
            where=f"{path}, clinics",
            remedy=f"Those enrolled: {', '.join(enrolled) or 'none'}",
        )
    if not enrolled:
        raise SettingsError("No clinic is enrolled", where=path, remedy="Run: fl-server enrol CLINIC KEY.pub")
    return plan.clinics or enrolled


def _with_roster(offer: Offer, record: Record, clinics: Sequence[str]) -> Offer:
    """The offer with the keys of the clinics that are asked, where they are part of what each approves."""
    if not offer.privacy.is_secure:
        return offer
    keys = {clinic.name: clinic.key for clinic in list_clinics(record, revoked=False)}
    offer = replace(offer, roster={name: keys[name] for name in clinics})
    return Offer.from_text(offer.to_text())  # refuses what is too long for a clinic


@contextmanager
def _placed(path: Path) -> Iterator[None]:
    """Errors within name the plan's file beside the key."""
    try:
        yield
    except InputError as error:
        place = f"{path}, {error.where}" if error.where else path
        raise SettingsError(error.what, where=place, remedy=error.remedy or "Correct the plan") from error


if __name__ == "__main__":
    print(documented_plan(), end="")
