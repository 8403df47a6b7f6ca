"""What a clinician says of a diagnosis, and who looked at it."""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.client.clinic.intake.refusals import Refused

OTHER = "other"
CONFIRMATIONS = ("histopathology", "follow-up", "consensus")
_LONGEST_REASON, _LONGEST_NAME = 2000, 100


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody looked.

    Attributes:
        who: the clinician, by the name of the token.
        time: ISO 8601 in UTC, to the millisecond.
    """

    who: str
    time: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """A clinician's word.

    Attributes:
        who: the clinician, by the name of the token.
        agrees: with the prediction.
        label: the class that it is instead, or ``"other"``; ``None`` where the clinician agrees.
        reason: in the clinician's words.
        confirmed_by: what makes it sure: ``histopathology``, ``follow-up``, ``consensus``; or ``None``.
        time: when it was said, ISO 8601 in UTC, to the millisecond; the store's word, not the clinician's.
    """

    who: str
    agrees: bool
    label: str | None = None
    reason: str = ""
    confirmed_by: str | None = None
    time: str = ""

    @property
    def calls_for_review(self) -> bool:
        """Whether there is something to learn from it."""
        return not self.agrees or self.confirmed_by is not None

    def in_words(self) -> str:
        """The opinion on a line."""
        said = "agrees" if self.agrees else f"says {self.label}"
        confirmed = f", confirmed by {self.confirmed_by}" if self.confirmed_by else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.who} {said}{confirmed}{reason}"


def check_opinion(opinion: Opinion, classes: tuple[str, ...]) -> None:
    """Refuse an opinion that cannot be kept.

    Raises:
        Refused: it contradicts itself, names no class of the model, or is too long (400).
    """
    choices = f"Use one of {', '.join((*classes, OTHER))}"
    if opinion.agrees and opinion.label is not None:
        raise _refused("label", "Who agrees names no other class", "Leave the label out, or disagree")
    if not opinion.agrees and opinion.label not in (*classes, OTHER):
        raise Refused("class-unknown", "There is no such class", where="label", remedy=choices)
    if opinion.confirmed_by not in (None, *CONFIRMATIONS):
        remedy = f"Use one of {', '.join(CONFIRMATIONS)}, or leave it out"
        raise _refused("confirmed_by", "That is no way to confirm a diagnosis", remedy)
    if len(opinion.reason) > _LONGEST_REASON:
        raise _refused("reason", "The reason is too long", f"Use at most {_LONGEST_REASON} characters")
    if not 0 < len(opinion.who) <= _LONGEST_NAME:
        raise _refused("who", "An opinion needs a name", f"Use 1 to {_LONGEST_NAME} characters")


def _refused(where: str, what: str, remedy: str) -> Refused:
    return Refused("opinion", what, where=where, remedy=remedy)
