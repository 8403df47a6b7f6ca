"""A diagnosis as a FHIR R4 bundle: a preliminary report, its observations, and the model.

No resource names a person: R4 lets a report have no subject, and who files the bundle knows the person.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any

from dermafed.client.clinic.answers.codes import DERMOSCOPY, conclusion, display_name, uuid_of
from dermafed.client.clinic.answers.fhir_lesion import MASK_TITLE
from dermafed.client.clinic.answers.fhir_observations import Resource, coding, hl7, observations
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis

_URI = "urn:ietf:rfc:3986"
ASSERTED_BY_AI = hl7("v3-ObservationValue", "AIAST", "Artificial Intelligence asserted")


def to_fhir(
    diagnosis: Diagnosis,
    heatmap_png: bytes | None = None,
    mask_png: bytes | None = None,
    colours: str = "",
) -> dict[str, Any]:
    """Write a diagnosis as a bundle.

    Args:
        diagnosis: to write.
        heatmap_png: the overlay, to go with it; the image itself never does.
        mask_png: where the lesion is, to go with it.
        colours: what the overlay's colours mean, a sentence, where it has to be said.

    Returns:
        A Bundle of type ``collection`` as JSON types; the same for the same diagnosis.
    """
    device = _urn(diagnosis, "device")
    results = {
        _urn(diagnosis, f"observation {number}"): observation
        for number, observation in enumerate(observations(diagnosis, device))
    }
    pictures = _pictures(diagnosis, heatmap_png, mask_png, colours)
    media = {_urn(diagnosis, part): _media(diagnosis, device, title, png) for part, _, title, png in pictures}
    comments = {_urn(diagnosis, part): comment for part, comment, _, _ in pictures}
    report = {_urn(diagnosis, "report"): _report(diagnosis, list(results), comments)}
    asserted = {**report, **results, **media}
    provenance = {_urn(diagnosis, "provenance"): _provenance(diagnosis, device, list(asserted))}
    resources = {**asserted, device: _device(diagnosis), **provenance}
    return {
        "resourceType": "Bundle",
        "meta": {"security": [ASSERTED_BY_AI]},
        "identifier": {"system": _URI, "value": _urn(diagnosis, "bundle")},
        "type": "collection",
        "timestamp": diagnosis.time,
        "entry": [{"fullUrl": url, "resource": _marked(resource)} for url, resource in resources.items()],
    }


def _marked(resource: Resource) -> Resource:
    return {**resource, "meta": {"security": [ASSERTED_BY_AI]}}


def _urn(diagnosis: Diagnosis, part: str) -> str:
    return uuid_of(diagnosis.id, f"fhir {part}").urn


def _pictures(
    diagnosis: Diagnosis, heatmap: bytes | None, mask: bytes | None, colours: str
) -> list[tuple[str, str, str, bytes]]:
    """Of each picture: the name of its part, what it shows, its title, and the PNG."""
    score = f"What moved the score of {display_name(diagnosis.prediction)}; does not outline the lesion"
    score = f"{score}. {colours}" if colours else score
    found = [("media", "What moved the score", score, heatmap), ("mask", "The lesion", MASK_TITLE, mask)]
    return [(part, comment, title, png) for part, comment, title, png in found if png is not None]


def _report(diagnosis: Diagnosis, results: list[str], media: dict[str, str]) -> Resource:
    text = conclusion(diagnosis)
    report = {
        "resourceType": "DiagnosticReport",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(text)}</p></div>',
        },
        "identifier": [{"system": _URI, "value": _urn(diagnosis, "report")}],
        "status": "preliminary",
        "category": [{"coding": [hl7("v2-0074", "IMG", "Diagnostic Imaging")]}],
        "code": {"coding": [coding(DERMOSCOPY)], "text": "Classification of a skin lesion by a model"},
        "effectiveDateTime": diagnosis.time,
        "issued": diagnosis.time,
        "result": [{"reference": url} for url in results],
        "conclusion": text,
    }
    if media:
        report["media"] = [{"comment": comment, "link": {"reference": url}} for url, comment in media.items()]
    return report


def _media(diagnosis: Diagnosis, device: str, title: str, png: bytes) -> Resource:
    return {
        "resourceType": "Media",
        "status": "completed",
        "type": {"coding": [hl7("media-type", "image", "Image")]},
        "createdDateTime": diagnosis.time,
        "issued": diagnosis.time,
        "device": {"reference": device},
        "content": {
            "contentType": "image/png",
            "data": base64.b64encode(png).decode(),
            "size": len(png),
            "hash": base64.b64encode(hashlib.sha1(png, usedforsecurity=False).digest()).decode(),
            "title": title,
        },
        "note": [{"text": USE}],
    }


def _device(diagnosis: Diagnosis) -> Resource:
    model = diagnosis.model
    return {
        "resourceType": "Device",
        "status": "active",
        "deviceName": [{"name": model.name, "type": "model-name"}],
        "type": {"text": "Skin-lesion classifier"},
        "version": [
            {"type": {"text": "federated round"}, "value": str(model.round)},
            {"type": {"text": "SHA-256 of the weights"}, "value": model.sha256},
        ],
        "note": [{"text": USE}],
    }


def _provenance(diagnosis: Diagnosis, device: str, targets: list[str]) -> Resource:
    image = {"type": {"text": "SHA-256 of the image as it came"}, "value": diagnosis.image_sha256}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": url} for url in targets],
        "occurredDateTime": diagnosis.time,
        "recorded": diagnosis.time,
        "agent": [
            {
                "type": {"coding": [hl7("provenance-participant-type", "performer", "Performer")]},
                "who": {"reference": device, "display": display_name(diagnosis.model.name)},
            }
        ],
        "entity": [{"role": "source", "what": {"identifier": image}}],
    }
