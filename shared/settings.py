"""The base of all settings: frozen pydantic dataclasses with strict types, whose errors are SettingsErrors.

A field's annotation is the one place that says its type, range, default and help::

    @dataclass(frozen=True, config=STRICT)
    class Recipe(Settings):
        epochs: Annotated[Number, Field(gt=0, description="Local epochs a round"), Key(synthetic=1)] = 0.25

Plan files, study rows, the options of ``fl-simulate``, the limits of a clinic and the documentation read it
from there, by :func:`keys_of`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import ConfigDict, ModelWrapValidatorHandler, ValidationError, WrapValidator, model_validator
from pydantic.fields import FieldInfo

from dermafed.shared.errors import SettingsError

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)
"""No type is converted: 2.5 and true are not whole numbers, and no number is NaN or infinite.

What checks a class is built when it is first used, so that ``--help`` answers at once.
"""


def _as_written(value: Any, check: Callable[[Any], float]) -> Any:
    check(value)
    return value


Number = Annotated[float, WrapValidator(_as_written)]
"""A number; a whole one stays an int, so that JSON and the hashes of JSON stay as they were written."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a field is besides its type, range, default and description.

    Attributes:
        synthetic: its default for synthetic images; ``None``: the same as for others.
        pretrained: its default in a new plan or run on real images that starts from pretrained weights;
            ``None``: the same as from others.
        otherwise: its default in words, where that depends on something else.
        example: how a plan may write it, where it has no default or that has a short form.
        panel: its heading in the help of ``fl-simulate``.
        simulated: whether ``fl-simulate`` and studies take it.
        limit: a clinic's default limit: the largest number, or whether it is allowed; ``None``: no limit.
        least: the least that a clinic accepts by default, whoever approves; ``None``: anything in range.
        asks: what a plan asks for by it, for the clinic; a field with this text has a limit.
        later: whether it came after version 0.1.0: it is written only where it is not at its default, so that
            what was written before has the same text, and the same hash.
    """

    synthetic: Any = None
    pretrained: Any = None
    otherwise: str = ""
    example: Any = None
    panel: str = "Training"
    simulated: bool = True
    limit: Any = None
    least: Any = None
    asks: str = ""
    later: bool = False


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A field, as those read it who take it from people.

    Attributes:
        name: the field's name.
        kind: ``int``, ``float``, ``str``, ``bool`` or ``tuple`` (of texts).
        choices: the texts that it may be; empty: any.
        bounds: the range, by ``ge``, ``gt``, ``le`` and ``lt``.
        default: without the user's word; ``None`` where it depends on something else, or there is none.
        required: whether it must be given.
        help: what it is.
        key: the rest.
    """

    name: str
    kind: type
    choices: tuple[str, ...]
    bounds: Mapping[str, float]
    default: Any
    required: bool
    help: str
    key: Key

    @property
    def allowed(self) -> str:
        """What it may be, for a message: ``a whole number from 1 to 9999``."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"{_KINDS.get(self.kind, 'what it should be')}{_range(self.bounds)}"

    def written(self, settings: Settings) -> bool:
        """Whether the settings' texts have it."""
        return not self.key.later or getattr(settings, self.name) != self.default

    @property
    def help_with_choices(self) -> str:
        """What it is and, unless that says so, what it may be, as a sentence."""
        if not 0 < len(self.choices) < 10 or all(choice in self.help for choice in self.choices):
            return f"{self.help}."
        return f"{self.help}: {', '.join(self.choices[:-1])} or {self.choices[-1]}."


_KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    tuple: "a list of texts",
    Mapping: "a table of texts",
}


class Settings:
    """Base of all settings; a subclass is a pydantic dataclass, frozen, of the config :data:`STRICT`."""

    section: ClassVar[str] = ""
    """What messages put before a field's name."""

    __pydantic_fields__: ClassVar[dict[str, FieldInfo]]

    @model_validator(mode="wrap")
    @classmethod
    def _refuse(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            raise _settings_error(error, keys_of(cls)) from None

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        values = {name: getattr(self, name) for name, key in keys_of(type(self)).items() if key.written(self)}
        return {name: _as_json(value) for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The settings from :meth:`to_dict`.

        Raises:
            SettingsError: a field is unknown, missing, of another type or out of range.
        """
        return cls.read(values)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """The settings from JSON or TOML types; what is not given has its default.

        Raises:
            SettingsError: a field is unknown, of another type or out of range; names section and field.
        """
        if not isinstance(values, Mapping):
            raise SettingsError(f"The {cls.section} settings must be an object", where=cls.section)
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        try:
            return cls(**given)
        except SettingsError as error:
            place = ".".join(part for part in (cls.section, error.where) if part)
            raise SettingsError(error.what, where=place, remedy=error.remedy) from None


def _as_json(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


_keys: dict[type[Settings], dict[str, KeyInfo]] = {}


def keys_of(settings: type[Settings]) -> dict[str, KeyInfo]:
    """The fields of settings, by name."""
    if settings not in _keys:  # asked for by each text that is read or written
        _keys[settings] = {name: _info(name, field) for name, field in settings.__pydantic_fields__.items()}
    return dict(_keys[settings])


def unknown_key(name: str, known: Iterable[str], *, where: str = "", remedy: str = "") -> SettingsError:
    """The refusal of a key that nobody knows, with the one that is probably meant."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Perhaps '{near[0]}' is meant" if near else f"The keys there are {', '.join(names)}"
    return SettingsError(f"There is no key '{name}'", where=where or name, remedy=remedy or hint)


def _info(name: str, field: FieldInfo) -> KeyInfo:
    kind, metadata = _unwrapped(field.annotation, field.metadata)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    key = next((one for one in reversed(metadata) if isinstance(one, Key)), Key())
    pairs = ((bound, getattr(one, bound, None)) for one in metadata for bound in ("ge", "gt", "le", "lt"))
    bounds = {bound: value for bound, value in pairs if value is not None}
    default = None if field.is_required() or key.otherwise else field.default
    kind = str if choices else get_origin(kind) or kind
    return KeyInfo(name, kind, choices, bounds, default, field.is_required(), field.description or "", key)


def _unwrapped(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """A field's type without ``None``, and all that is said of it."""
    if get_origin(annotation) is Annotated:
        inner, *own = get_args(annotation)
        own = [part for one in own for part in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _unwrapped(inner, [*own, *metadata])
    if get_origin(annotation) in (Union, UnionType):
        first, *_ = (one for one in get_args(annotation) if one is not NoneType)
        return _unwrapped(first, metadata)
    return annotation, metadata


def _range(bounds: Mapping[str, float]) -> str:
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is None:
        return ""
    if high is None:
        return f", {low:g} or more" if "ge" in bounds else f" above {low:g}"
    if "gt" in bounds:
        return f" above {low:.10g}, {'below' if 'lt' in bounds else 'at most'} {high:.10g}"
    return f" from {low:.10g} to {'below ' if 'lt' in bounds else ''}{high:.10g}"


def _settings_error(error: ValidationError, keys: Mapping[str, KeyInfo]) -> SettingsError:
    """An unknown key, or else the first fault that pydantic found, in the form of our errors."""
    faults = error.errors(include_url=False)
    fault = next((one for one in faults if one["type"] == "unexpected_keyword_argument"), faults[0])
    kind, name, value = fault["type"], str(fault["loc"][0]), fault["input"]
    if kind == "unexpected_keyword_argument":
        return unknown_key(name, keys)
    info = keys.get(name)
    if info is None or kind.startswith("missing"):
        return SettingsError(f"The key '{name}' is missing", where=name, remedy="Give it")
    place = ".".join(part for part in fault["loc"] if isinstance(part, str))
    if info.choices and isinstance(value, str):
        what, remedy = f"There is no {name.replace('_', ' ')} '{value}'", f"Use {info.allowed}"
    elif kind.startswith(("greater_than", "less_than", "finite_number")):
        what, remedy = f"{name} is {value}", f"Give {info.allowed}"
    else:
        expected = "a text" if place != name else _KINDS.get(info.kind, info.allowed)
        what, remedy = f"{value!r} is not {expected}", f"Give {expected if place != name else info.allowed}"
    return SettingsError(what, where=place, remedy=remedy)
