"""The settings that a clinic may edit: ``clinic.toml`` in its folder."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from dermafed.client.node.limits import Limits, default_limits
from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name

_TEMPLATE = """\
clinic = {clinic}
# A folder with a manifest, a folder per class, COCO or LabelMe; or a manifest.
data = {data}
# Port of the node's own interface on this machine; 0 takes a free one at every start.
port = 0

[limits]
# ask: a person approves every plan.  limits: plans within the limits below are approved, others refused.
# Without a number for max_epsilon, differential privacy is not demanded.
policy = "ask"
{limits}
"""


@dataclass(frozen=True, slots=True)
class ClinicSettings:
    """The settings in ``clinic.toml``.

    Attributes:
        clinic: the clinic's name in the federation.
        data: the clinic's labelled images.
        port: port of the node's own interface on this machine; 0: a free one.
        limits: the limits of the clinic's policy.
    """

    clinic: str
    data: Path
    port: int = 0
    limits: Limits = field(default_factory=Limits)


def settings_text(clinic: str, data: Path) -> str:
    """The file of a new clinic, with every limit at its default."""
    return _TEMPLATE.format(
        clinic=json.dumps(clinic),
        data=json.dumps(str(data.resolve()), ensure_ascii=False),
        limits=default_limits(),
    )


def load_settings(path: Path) -> ClinicSettings:
    """Read a clinic's settings; a relative path of data starts at the file's folder.

    Raises:
        SettingsError: they are damaged; the message names the field.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        values.pop("serve", None)  # dermafed.client.clinic.http.serve_settings reads it
        limits = Limits.from_dict(values.pop("limits", {}), path)
        clinic, data, port = str(values.pop("clinic")), str(values.pop("data")), int(values.pop("port", 0))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"The settings cannot be read: {error}", where=path, remedy="Correct them"
        ) from error
    if values:
        raise SettingsError(f"There is no setting '{min(values)}'", where=path, remedy="Remove it")
    return ClinicSettings(check_name(clinic, "clinic"), path.parent / data, port, limits)
