"""Sentences that are stored in English with their numbers, said again in the reader's language."""

from __future__ import annotations

import re
from functools import cache

from dermafed.client.clinic.language.speech import N_, find_message, gettext

# As they are written in shared/lesion_finder, metrics/decision and explain, and in client/clinic/intake.
SENTENCES = (
    N_("no part of the image looks like a lesion"),
    N_("what looks like a lesion covers less than 0.5 %% of the image"),
    N_("what looks like a lesion covers nearly all of the image"),
    N_("what looks like a lesion lies outside the image, in the mirrored margin"),
    N_("Cannot be promised here: %(melanomas)s melanomas, at least %(needed)s are needed"),
    N_(
        "At most %(most)s%% of melanomas are missed, with %(confidence)s%% confidence (%(melanomas)s "
        "validation melanomas, %(allowed)s may be missed)"
    ),
    N_(
        "Too few melanomas to choose a threshold by are among this clinic's validation lesions: "
        "%(melanomas)s. So the threshold and the miss rate are those of all clinics together, for the "
        "probability as if all diagnoses were equally frequent"
    ),
    N_("The picture is small: details that the model looks for may be missing."),
    N_("The picture looks blurred."),
    N_("The picture is dark."),
    N_("Parts of the picture are too bright to show any detail."),
    N_("The picture has no colour; the model was trained on colour pictures."),
    N_("There seem to be coloured marks, such as ink or a sticker; they can mislead the model."),
    N_("There seems to be a ruler; it can mislead the model."),
    N_("There seems to be much hair over the skin; it can hide parts of the lesion."),
    N_("The picture has a colour profile other than sRGB; the model sees its colours a little shifted."),
    N_("Shows what moved the score; does not outline the lesion."),
    N_("Additive evidence: yellow speaks for it, light blue against it."),
    N_("Additive evidence: yellow speaks for it, light blue for the other class."),
    N_("DICOM answers are without attributes that cannot be passed on: %(names)s."),
)

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def retell(text: str) -> str:
    """A stored sentence in the reader's language; as it is if it is none of ``SENTENCES``."""
    for sentence in SENTENCES:
        found = _pattern(sentence).fullmatch(text)
        if found:
            return gettext(sentence, **found.groupdict())
    return find_message(text)


@cache
def _pattern(sentence: str) -> re.Pattern[str]:
    """Matches what was made of a sentence, with a group for each placeholder."""
    parts = enumerate(_PLACEHOLDER.split(sentence.replace("%%", "%")))
    return re.compile("".join(f"(?P<{each}>.+)" if place % 2 else re.escape(each) for place, each in parts))
