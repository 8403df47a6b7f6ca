"""Where the clinics of a simulated run work: in this process, or with Ray, on one machine or on many."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import STRICT, Key, Settings

Engine = Literal["local", "ray"]

AUTO = "auto"
"""In place of an address: the cluster that this machine belongs to."""

_HIGHEST_PORT = 65535


@dataclass(frozen=True, config=STRICT, kw_only=True)
class EngineSettings(Settings):
    """The engine of a run, and its address."""

    section: ClassVar[str] = ""

    engine: Annotated[
        Engine, Field(description="local (in process) or ray (many cores)"), Key(panel="Run")
    ] = "local"
    address: Annotated[
        str | None,
        Field(
            description="Ray cluster for the engine ray: HOST:PORT of its head, or auto for the one that "
            "this machine belongs to"
        ),
        Key(panel="Run", otherwise="Ray on this machine alone", later=True),
    ] = None

    @model_validator(mode="after")
    def _address_fits(self) -> Self:
        if self.address is None:
            return self
        if self.engine != "ray":
            raise SettingsError(
                f"The engine {self.engine} has no address",
                where="address",
                remedy="Choose the engine ray, or leave the address out",
            )
        if self.address != AUTO:
            host_and_port(self.address)
        return self


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of ``HOST:PORT`` or ``[HOST]:PORT``.

    Raises:
        SettingsError: it has not this form.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
        raise SettingsError(
            f"'{address}' is not the address of a Ray cluster",
            where="address",
            remedy="Give HOST:PORT, such as 10.0.0.5:6379, or auto",
        )
    return host, int(port)
