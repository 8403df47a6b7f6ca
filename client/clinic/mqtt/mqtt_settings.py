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
    """The table ``[serve.mqtt]``: the broker, and the node's account there.

    Attributes:
        host: host name of the broker, as in its certificate.
        port: port of its TLS listener; there is no connection without TLS.
        user: user name of the node.
        password_file: file with the password, readable only by its owner.
        ca: PEM file of the broker's authority; by default the authorities that the system trusts.
        clinic: name of the clinic, in every topic.
        client_id: name of the session that the broker stores while the node is down; by default the user.
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
        """The same, with relative paths resolved from this folder."""
        ca = None if self.ca is None else folder / self.ca
        return self.model_copy(update={"password_file": folder / self.password_file, "ca": ca})

    def session(self) -> str:
        """The client identifier."""
        return self.client_id or self.user

    def password(self) -> str:
        """Read the password file.

        Raises:
            StorageError: it cannot be read, or others can read it.
            SettingsError: it has no password.
        """
        check_private(self.password_file)
        password = self.password_file.read_text("utf-8").strip("\r\n")
        if not password:
            raise SettingsError(
                "The file has no password", where=self.password_file, remedy="Write it as the only line"
            )
        return password

    def tls(self) -> ssl.SSLContext:
        """The TLS context that checks the broker's certificate.

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
