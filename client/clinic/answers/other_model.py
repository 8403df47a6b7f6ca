"""Say so where what stands beside a diagnosis is of another model than the one that made it."""

from __future__ import annotations

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, ModelUsed
from dermafed.client.clinic.language.speech import gettext
from dermafed.shared.explain.explainer import Explanation
from dermafed.shared.explain.overlay import colour_words


def other_model(diagnosis: Diagnosis, used: ModelUsed) -> str:
    """What of a diagnosis' page is not of the model that made it; empty if that is the model in use.

    Args:
        diagnosis: as it was saved.
        used: the model in use now.
    """
    if diagnosis.model.sha256 == used.sha256:
        return ""
    return gettext(
        "Another model gave this answer: %(name)s, round %(round)s. The heatmap, the similar cases and "
        "the figures of reliability are of the model in use now, %(now)s, round %(latest)s: they do not "
        "explain it.",
        name=diagnosis.model.name, round=diagnosis.model.round, now=used.name, latest=used.round,
    )  # fmt: skip


def other_map(diagnosis: Diagnosis, used: ModelUsed) -> str:
    """The same of a heatmap alone, for a caption."""
    if diagnosis.model.sha256 == used.sha256:
        return ""
    return gettext(
        "The heatmap is of the model in use now, %(now)s, round %(latest)s, not of the one that gave this "
        "answer.",
        now=used.name, latest=used.round,
    )  # fmt: skip


def words_of_map(found: Explanation, diagnosis: Diagnosis, used: ModelUsed) -> str:
    """What a heatmap's colours mean, and whose it is, where either has to be said; for other systems."""
    return " ".join(filter(None, (colour_words(found), other_map(diagnosis, used))))
