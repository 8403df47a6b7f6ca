"""Class maps: from the labels of a data source to the classes of a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.lesions.diagnoses import PARENTS, canonical, is_known, normalise
from dermafed.shared.lesions.record import PAPER_CLASSES, LesionRecord

APPROXIMATION = (
    "benign keratosis (bkl) is read as seborrheic_keratosis: an approximation, for it also holds "
    "solar lentigines and lichen-planus-like keratoses"
)
_SHOWN = 10
_SPEC = re.compile(r"[^=+,]+=[^=+,]+(\+[^=+,]+)*(,[^=+,]+=[^=+,]+(\+[^=+,]+)*)*")


@dataclass(frozen=True, slots=True)
class ClassMap:
    """The class of the model for each source label.

    Attributes:
        names: the model's classes, in the order of its outputs.
        of: class of each source label; other labels belong to no class.
        note: a remark for readers of the results, such as an approximation; may be empty.
    """

    names: tuple[str, ...]
    of: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def apply(self, records: Iterable[LesionRecord]) -> tuple[list[LesionRecord], Counter[str]]:
        """Relabel records with their class.

        Returns:
            The records that belong to a class, their label replaced by its name, and how many records of each
            other source label were left out.
        """
        relabelled: list[LesionRecord] = []
        excluded: Counter[str] = Counter()
        for record in records:
            if record.label in self.of:
                relabelled.append(replace(record, label=self.of[record.label]))
            else:
                excluded[record.label] += 1
        return relabelled, excluded


def map_classes(
    records: Sequence[LesionRecord], spec: str
) -> tuple[ClassMap, list[LesionRecord], Counter[str]]:
    """Parse a class map for these records and apply it; as `parse_class_map`, but errors name an image.

    Returns:
        The map, the records relabelled, and the count of each source label left out.
    """
    places = {record.label: str(record.path) for record in reversed(records)}
    class_map = parse_class_map(spec, places, places=places)
    return class_map, *class_map.apply(records)


def parse_class_map(spec: str, labels: Iterable[str], *, places: Mapping[str, str] | None = None) -> ClassMap:
    """Make the class map of the option ``--classes``.

    Args:
        spec: ``paper`` (melanoma, nevus, seborrheic keratosis; other known diagnoses are left out), ``all``
            (every label present), or ``new=a+b,new2=c`` (labels that are not named are left out).
        labels: the source labels that occur; they may repeat.
        places: where each label occurs, for error messages.

    Raises:
        SettingsError: the specification is malformed, or names a label that does not occur.
        DatasetError: an unknown label (``paper``), or fewer than two classes are left.
    """
    present = sorted(set(labels))
    if spec == "paper":
        return class_map_for(PAPER_CLASSES, present, places=places)
    if spec == "all":
        of = {label: canonical(label) for label in present}
        return _checked(ClassMap(tuple(sorted(set(of.values()))), of), present)
    return _checked(_custom(spec, present), present)


def class_map_for(
    names: Sequence[str],
    labels: Iterable[str],
    *,
    of: Mapping[str, str] | None = None,
    places: Mapping[str, str] | None = None,
    any_number: bool = False,
) -> ClassMap:
    """Map labels to the classes of an existing model.

    Args:
        names: the model's classes, in order.
        labels: the source labels that occur.
        of: the class map of the model's training, for classes that are not named by a diagnosis.
        places: where each label occurs, for error messages.
        any_number: whether fewer than two classes may be left, which nothing can be trained with.

    Raises:
        DatasetError: a label is neither a class of the model nor a known diagnosis, or too few classes are
            left.
    """
    labels = sorted(set(labels))
    trained = {canonical(label): name for label, name in (of or {}).items()}
    by_name = {normalise(name): name for name in names} | {canonical(name): name for name in names}
    found: dict[str, str] = {}
    for label in labels:
        name = _class_of(label, by_name, trained)
        if name is not None:
            found[label] = name
        elif not is_known(label) and canonical(label) not in trained:
            raise DatasetError(
                f"unknown label {label!r}",
                where=(places or {}).get(label, ""),
                remedy=f"Correct it, or name the classes yourself: --classes new={label}+...,other=...",
            )
    approximate = any(
        canonical(a) == "benign_keratosis" and b == "seborrheic_keratosis" for a, b in found.items()
    )
    class_map = ClassMap(tuple(names), found, APPROXIMATION if approximate else "")
    return class_map if any_number else _checked(class_map, labels)


def _class_of(label: str, by_name: Mapping[str, str], trained: Mapping[str, str]) -> str | None:
    """The class a label belongs to: by its own name, by its diagnosis, as when trained, or by kinship."""
    diagnosis = canonical(label)
    candidates = (by_name.get(normalise(label)), trained.get(diagnosis), by_name.get(diagnosis))
    kin = [by_name.get(parent) for parent in PARENTS.get(diagnosis, ())]
    return next((name for name in (*candidates, *kin) if name is not None), None)


def _custom(spec: str, labels: Sequence[str]) -> ClassMap:
    if not _SPEC.fullmatch(spec):
        raise SettingsError(
            f"--classes {spec!r} is malformed",
            remedy="Write paper, all, or new=a+b,new2=c with labels a, b, c",
        )
    names: list[str] = []
    of: dict[str, str] = {}
    for clause in spec.split(","):
        name, _, terms = clause.partition("=")
        names.append(name.strip())
        for term in terms.split("+"):
            for label in _labels_named(term.strip(), labels):
                if label in of:
                    raise SettingsError(
                        f"--classes {spec!r} names the label {label!r} twice", remedy="Keep one"
                    )
                of[label] = names[-1]
    if len(set(names)) < len(names) or "" in names:
        raise SettingsError(
            f"--classes {spec!r} repeats or omits a class name", remedy="Name each class once"
        )
    return ClassMap(tuple(names), of)


def _labels_named(term: str, labels: Sequence[str]) -> list[str]:
    """The labels that a term of the specification names: by spelling, else by diagnosis."""
    found = [label for label in labels if normalise(label) == normalise(term)]
    found = found or [label for label in labels if canonical(label) == canonical(term)]
    if not found:
        raise SettingsError(
            f"--classes names {term!r}, a label that does not occur",
            remedy=f"The labels are: {', '.join(labels)}",
        )
    return found


def _checked(class_map: ClassMap, labels: Iterable[str]) -> ClassMap:
    left = sorted(set(class_map.of.values()))
    if len(left) < 2:
        present = sorted(set(labels))
        shown = ", ".join(present[:_SHOWN]) + (", ..." if len(present) > _SHOWN else "")
        raise DatasetError(
            f"only {len(left)} of the classes {', '.join(class_map.names)} occurs in the data, "
            f"whose labels are: {shown}",
            remedy="At least two are needed: add images of another class, or choose other --classes",
        )
    return class_map
