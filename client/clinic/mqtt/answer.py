"""The answer to a message: a diagnosis, or why there is none."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from aiomqtt import Message

from dermafed.client.clinic.intake.receive import Quarantine, receive
from dermafed.client.clinic.intake.refusals import Refused, refusal_of
from dermafed.client.clinic.mqtt.request import answer_topic, correlation, read_request, usual_answer_topic
from dermafed.client.clinic.service import DiagnosticService

MAX_BYTES = 32 * 2**20

log = logging.getLogger("dermafed.mqtt")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to publish.

    Attributes:
        topic: the device's.
        status: the HTTP status that says the same.
        content: a diagnosis, or ``code``, ``error`` and ``remedy``.
        correlation: as the device sent it.
    """

    topic: str
    status: int
    content: dict[str, Any]
    correlation: bytes | None

    def payload(self) -> bytes:
        """The content as JSON."""
        return json.dumps(self.content, allow_nan=False, ensure_ascii=False).encode()


def answer(service: DiagnosticService, quarantine: Quarantine, message: Message) -> Answer:
    """Diagnoses the image of a message; the diagnosis is on the disk when this returns.

    Whatever goes wrong is an answer too: a message without one would come again for ever.
    """
    topic = usual_answer_topic(message)
    try:
        topic = answer_topic(message)
        status, content = 200, _diagnose(service, quarantine, message)
    except Exception as error:
        refused = refusal_of(error)
        status, content = refused.status, refused.to_dict()
        if not isinstance(error, Refused):
            log.error("a request failed: %s", type(error).__name__)  # its text may hold what was sent
    log.info("answered: %d %s", status, content.get("code", ""))
    return Answer(topic, status, content, correlation(message))


def _diagnose(service: DiagnosticService, quarantine: Quarantine, message: Message) -> dict[str, Any]:
    if len(message.payload) > MAX_BYTES:
        what = f"The message is larger than {MAX_BYTES >> 20} MiB"
        raise Refused("too-large", what, remedy="Send the image as a JPEG")
    request = read_request(message)
    received = receive(request.image, request.clinical, device=request.device, quarantine=quarantine)
    return service.diagnose(received, request.device, request.name).to_dict()
