"""The settings of serving: the table ``[serve]`` of ``clinic.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dermafed.client.clinic.dicom.dicom_settings import DicomSettings
from dermafed.client.clinic.mqtt.mqtt_settings import MqttSettings
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.invitation import is_host
from dermafed.shared.toml_file import read_toml


def _host(text: str) -> str:
    if not is_host(text):
        raise ValueError("is not a host name or an IP address")
    return text


Count = Annotated[int, Field(strict=True, ge=1)]


class ServeSettings(BaseModel):
    """The table ``[serve]``; without it, these defaults.

    Attributes:
        hosts: names and IP addresses by which devices and clinicians reach this machine.
        certificate: PEM file of the clinic's own certificate; without it the node makes one.
        key: its private key.
        retention_days: how long diagnoses and images are stored.
        requests_per_minute: requests of one token a minute; more get 429.
        max_body_mib: largest request in MiB; a larger one gets 413.
        upload_seconds: longest time for one body, and a second more with each 16 KiB of it; then 408.
        header_seconds: longest time for one request's headers; then the connection is closed.
        waiting: diagnoses and heatmaps at one time; more get 503.
        session_hours: how long a clinician stays signed in.
        impression_first: whether a clinician's own impression comes before the model's answer on the page.
        dicom: settings of the DICOM port; without them there is none.
        mqtt: settings of MQTT; without them there is none. The clinic's name is by default that of the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    retention_days: Count = 365
    requests_per_minute: Count = 600
    max_body_mib: Annotated[int, Field(strict=True, ge=1, le=256)] = 32
    upload_seconds: Count = 60
    header_seconds: Count = 10
    waiting: Count = 32
    session_hours: Count = 12
    impression_first: Annotated[bool, Field(strict=True)] = True
    dicom: DicomSettings | None = None
    mqtt: MqttSettings | None = None

    @model_validator(mode="after")
    def _has_both(self) -> ServeSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        return self

    @property
    def max_body(self) -> int:
        """The largest body of one request in bytes."""
        return self.max_body_mib * 2**20


def read_serve_settings(path: Path) -> ServeSettings:
    """Read the settings of serving from a clinic's settings file; relative paths start at its folder.

    Args:
        path: ``clinic.toml``.

    Raises:
        SettingsError: they cannot be used; names the field.
    """
    content = read_toml(path)
    table = content.get("serve", {})
    if "mqtt" in table:
        table["mqtt"] = {"clinic": content.get("clinic"), **table["mqtt"]}
    try:
        settings = ServeSettings.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, ("serve", *first["loc"])))
        raise SettingsError(f"{field}: {first['msg']}", where=path, remedy="Correct it") from error
    return _beside(settings, path.parent)


def _beside(settings: ServeSettings, folder: Path) -> ServeSettings:
    files: dict[str, object] = {}
    if settings.certificate is not None and settings.key is not None:
        files = {"certificate": folder / settings.certificate, "key": folder / settings.key}
    dicom = None if settings.dicom is None else settings.dicom.beside(folder)
    mqtt = None if settings.mqtt is None else settings.mqtt.beside(folder)
    return settings.model_copy(update={**files, "dicom": dicom, "mqtt": mqtt})
