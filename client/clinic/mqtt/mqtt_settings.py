"""The settings of MQTT: ``[serve.mqtt]`` in ``clinic.toml``."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name
from dermafed.shared.storage.atomic_files import check_private


def _clinic(name: str) -> str:
    return check_name(name, "clinic")


class MqttSettings(BaseModel):
    """Where the broker is, and who the node is there.

    Attributes:
        host: the broker's name, as its certificate has it.
        port: of its TLS listener; there is no other way.
        user: the node's.
        password_file: a file with the password, readable for its owner only.
        ca: who vouches for the broker; by default those that the system trusts.
        clinic: the clinic's name in every topic.
        client_id: names the session that the broker keeps while the node is down; by default the user.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 8883
    user: Annotated[str, Field(min_length=1)]
    password_file: Path
    ca: Path | None = None
    clinic: Annotated[str, AfterValidator(_clinic)]
    client_id: str = ""

    def beside(self, folder: Path) -> MqttSettings:
        """The same with its files' paths from this folder on."""
        ca = None if self.ca is None else folder / self.ca
        return self.model_copy(update={"password_file": folder / self.password_file, "ca": ca})

    def session(self) -> str:
        """The client identifier."""
        return self.client_id or self.user

    def password(self) -> str:
        """What the password file says.

        Raises:
            StorageError: it cannot be read, or others can read it.
            SettingsError: it holds no password.
        """
        check_private(self.password_file)
        password = self.password_file.read_text("utf-8").strip("\r\n")
        if not password:
            raise SettingsError(
                "The file holds no password", where=self.password_file, remedy="Write it as the only line"
            )
        return password

    def tls(self) -> ssl.SSLContext:
        """What the broker's certificate is checked with.

        Raises:
            SettingsError: the authority's certificate cannot be read.
        """
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # SSLError is one
            raise SettingsError(
                f"The authority's certificate cannot be read: {error.strerror or error}",
                where=self.ca,
                remedy="Give the PEM file of the authority that signed the broker's certificate as ca",
            ) from error
