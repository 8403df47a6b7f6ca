"""A device's request by MQTT, and the response to it (MQTT 5, request and response)."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import Any

from aiomqtt import Message
from paho.mqtt.properties import Properties

from dermafed.client.clinic.intake.clinical import REQUEST, Clinical, read_clinical, read_scale
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused, refusal_of
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name

MAX_BYTES = 32 * 2**20

log = logging.getLogger("dermafed.mqtt")


def image_topic(clinic: str, device: str) -> str:
    """The topic of a device's images; of the device ``+``, the filter for all devices."""
    return f"clinic/{clinic}/device/{device}/image"


def default_answer_topic(message: Message) -> str:
    """The topic of the answer, unless the message names one beneath it."""
    return f"{str(message.topic).rpartition('/')[0]}/answer"


def answer_topic(message: Message) -> str:
    """The topic of the answer.

    Raises:
        Refused: the message names a topic that is not its device's: a device could make the node write to
            another device, or to itself without end.
    """
    default = default_answer_topic(message)
    wanted = str(getattr(message.properties, "ResponseTopic", default))
    if not (wanted == default or wanted.startswith(f"{default}/")) or re.search(r"[+#\0]", wanted):
        raise Refused(
            "response-topic",
            "The response topic is not the device's own",
            where="response topic",
            remedy="Use clinic/CLINIC/device/DEVICE/answer or a topic beneath it",
        )
    return wanted


def correlation(message: Message) -> bytes | None:
    """The correlation data of the device; they go back as they came."""
    return getattr(message.properties, "CorrelationData", None)


def _device(message: Message) -> str:
    """The name of the device: the broker lets nobody else write to its topic."""
    try:
        return check_name(str(message.topic).split("/")[3], "device")
    except SettingsError as error:
        raise Refused("device-name", "The device's name cannot be used", remedy=error.remedy) from error


def _metadata(properties: Properties | None) -> tuple[Clinical, str | None, float | None]:
    given = [text for name, text in getattr(properties, "UserProperty", []) if name == "metadata"]
    if len(given) > 1:
        raise Refused("metadata-twice", "There is more than one 'metadata'", remedy="Send one user property")
    return (*read_clinical(given[0]), read_scale(given[0])) if given else (Clinical(), None, None)


def _name(data: bytes | None) -> str:
    """A request needs a name: without one, its repetition would be diagnosed and saved again."""
    text = (data or b"").decode("ascii", "replace")
    if not REQUEST.fullmatch(text):
        raise Refused(
            "request-name",
            "The request has no name that can be used",
            where="correlation data",
            remedy="Send 1 to 64 letters, digits or . _ : - as correlation data or the metadata's request",
        )
    return text


@dataclass(frozen=True, slots=True)
class Answer:
    """What to publish.

    Attributes:
        topic: topic of the device.
        status: the HTTP status of the same answer.
        content: a diagnosis, or ``code``, ``error`` and ``remedy``.
        correlation: correlation data, as the device sent them.
    """

    topic: str
    status: int
    content: dict[str, Any]
    correlation: bytes | None

    def payload(self) -> bytes:
        """The content as JSON."""
        return json.dumps(self.content, allow_nan=False, ensure_ascii=False).encode()


def answer(service: DiagnosticService, message: Message) -> Answer:
    """Diagnose the image of a message; the diagnosis is on the disk when this returns.

    Every error is an answer too: a message without one would come again for ever.
    """
    topic = default_answer_topic(message)
    try:
        topic = answer_topic(message)
        status, content = 200, _diagnose(service, message)
    except Exception as error:
        refused = refusal_of(error)
        status, content = refused.status, refused.to_dict()
        if not isinstance(error, Refused):
            log.error("a request failed: %s", type(error).__name__)  # its text may contain what was sent
    log.info("answered: %d %s", status, content.get("code", ""))
    return Answer(topic, status, content, correlation(message))


def _diagnose(service: DiagnosticService, message: Message) -> dict[str, Any]:
    if len(message.payload) > MAX_BYTES:
        what = f"The message is larger than {MAX_BYTES >> 20} MiB"
        raise Refused("too-large", what, remedy="Send the image as a JPEG")
    clinical, request, scale = _metadata(message.properties)
    device, request = _device(message), request or _name(correlation(message))
    quarantine = service.store.quarantine
    received = receive(message.payload, clinical, device=device, quarantine=quarantine, mm_per_pixel=scale)
    return service.diagnose(received, device, request).to_dict()
