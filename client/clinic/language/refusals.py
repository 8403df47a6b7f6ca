"""What the page says instead of the English sentences of a refusal: one for each code, with what to do."""

from __future__ import annotations

from collections.abc import Mapping

from dermafed.client.clinic.language.languages import ENGLISH
from dermafed.client.clinic.language.speech import N_, current, find_message

_AGAIN = N_("This cannot be used. Load the page again.")
_OPERATOR = N_("The node failed. Tell its operator.")
_OTHER_FILE = N_("This file cannot be used. Send the picture as JPEG, PNG or uncompressed DICOM.")
_EXPORT = N_("This DICOM object contradicts itself or is damaged. Export it again from its source.")
_TOO_LARGE = N_("The image is too large. Send it as a JPEG.")

REFUSALS: Mapping[str, str] = {
    "empty": N_("The image is empty. Send a JPEG or PNG file."),
    "unsupported-type": N_("Only JPEG, PNG and DICOM files are accepted."),
    "too-large": _TOO_LARGE,
    "damaged": N_("The picture is damaged or incomplete. Send it again from its source."),
    "too-many-parts": N_("The file has too many parts. Save it again as a plain JPEG or PNG."),
    "too-many-pixels": N_("The picture has too many pixels. Reduce it, or crop it."),
    "too-small": N_("The picture has too few pixels. Send the original, not a thumbnail."),
    "blank": N_("The picture shows one colour and nothing else. Take it again; is the lens covered?"),
    "colour-mode": N_("The picture's colours are not gray or RGB. Save it again as a plain JPEG or PNG."),
    "several-frames": N_("The file has several pictures. Send one picture at a time."),
    "burned-in": N_(
        "The picture may show a name, so it waits for a person to look at it. Ask the node's operator."
    ),
    "sop-class": _OTHER_FILE,
    "transfer-syntax": _OTHER_FILE,
    "dicom-malformed": _EXPORT,
    "photometric": _OTHER_FILE,
    "bit-depth": N_("The samples of the picture have too many bits. Export it with 8 bits a sample."),
    "pixel-length": _EXPORT,
    "header-mismatch": _EXPORT,
    "uid-mismatch": _EXPORT,
    "metadata-malformed": _AGAIN,
    "metadata-unknown": _AGAIN,
    "metadata-value": N_("Age, sex or body site cannot be used. Correct it, or leave it empty."),
    "metadata-twice": _AGAIN,
    "metadata-too-large": N_("What you give about the person is too long. Make it shorter."),
    "token-missing": N_("You are signed out. Load this page again."),
    "token-unknown": N_("You are signed out. Load this page again."),
    "role": N_("This is for clinicians only. Sign in with a clinician's token."),
    "cross-site": N_("This comes from the page of another site. Use the page of this node."),
    "host-unknown": N_("This node does not have that host name. Ask its operator for the address."),
    "device-name": _AGAIN,
    "rate-limit": N_("Too many requests. Wait a minute, and try again."),
    "busy": N_("The node is busy. Try again in a moment."),
    "malformed": _AGAIN,
    "content-type": _AGAIN,
    "not-acceptable": _AGAIN,
    "multipart": _AGAIN,
    "multipart-malformed": _AGAIN,
    "parts": _AGAIN,
    "part-twice": _AGAIN,
    "too-slow": N_("The request took too long to arrive. Use a faster connection."),
    "request-name": _AGAIN,
    "request-reused": _AGAIN,
    "response-topic": _AGAIN,
    "not-found": N_("There is nothing here. Check the address."),
    "method-not-allowed": N_("This cannot be done here. Go back to the page before."),
    "unknown": N_("There is nothing of this id or number. Check it, or load the page again."),
    "no-longer-kept": N_(
        "This is no longer stored at the clinic. Send the image again, if it is still needed."
    ),
    "class-unknown": N_("There is no such class. Choose one of those that the page offers."),
    "method-unknown": N_("There is no such method. Choose one of those that the page offers."),
    "opinion": N_("This cannot be saved as it is. Load the page again, and check what you have chosen."),
    "unusable": _OTHER_FILE,
    "storage": N_("The node cannot save anything now. Tell its operator."),
    "internal": _OPERATOR,
}
"""By the code of the refusal."""


def tell_refusal(code: str, said: str) -> str:
    """A refusal in the reader's language; in English what was said, which is more precise.

    Args:
        code: of the refusal.
        said: its sentences in English.
    """
    return said if current().code == ENGLISH else find_message(REFUSALS[code])


def refusals_for_scripts() -> dict[str, str]:
    """All of them by code in the reader's language; none in English, where the node's answer is shown."""
    if current().code == ENGLISH:
        return {}
    return {code: find_message(message) for code, message in REFUSALS.items()}
