"""A clinic's limits: what an offer may ask for at most, as ``clinic.toml`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from dermafed.shared.errors import SettingsError

Mode = Literal["ask", "limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What an offer may ask for at most.

    Attributes:
        policy: ``ask`` waits for a person; ``limits`` approves what keeps the limits and refuses the rest.
        max_rounds: rounds.
        max_epochs: local epochs a round.
        max_image_size: side of the network's input, pixels.
        strategies: the server's strategies.
        explain: whether the clinic measures explanations.
        metadata: whether age, sex and body site may enter the model.
        max_epsilon: of differential privacy; ``None``: it is not demanded.
    """

    policy: Mode = "ask"
    max_rounds: int = 100
    max_epochs: float = 5
    max_image_size: int = 512
    strategies: tuple[str, ...] = (
        "fedavg",
        "fedprox",
        "fedavgm",
        "fedadam",
        "fedadagrad",
        "fedyogi",
    )
    explain: bool = True
    metadata: bool = True
    max_epsilon: float | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: object) -> Limits:
        """Limits from a settings file.

        Raises:
            SettingsError: a field is unknown or of another type.
        """
        kinds = {field.name: _KINDS[field.name] for field in fields(cls)}
        for name, value in values.items():
            if name not in kinds:
                raise SettingsError(
                    f"There is no limit '{name}'", where=where, remedy=f"Use {', '.join(kinds)}"
                )
            if type(value) not in kinds[name]:
                raise SettingsError(f"The limit '{name}' is {value!r}", where=where, remedy="Correct it")
        if values.get("policy", "ask") not in get_args(Mode):
            raise SettingsError(
                f"There is no policy {values['policy']!r}", where=where, remedy="Use ask or limits"
            )
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})


_KINDS: dict[str, tuple[type, ...]] = {
    "policy": (str,),
    "max_rounds": (int,),
    "max_epochs": (int, float),
    "max_image_size": (int,),
    "strategies": (list,),
    "explain": (bool,),
    "metadata": (bool,),
    "max_epsilon": (int, float),
}
