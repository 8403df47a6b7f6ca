"""The section ``robust`` of a plan: the rule against hostile clinics, and how many of them it must bear."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.settings import STRICT, Key, Settings

Rule = Literal["none", "norm-bound", "median", "trimmed-mean", "geometric-median", "krum", "centred-clipping"]
"""The rules of :mod:`dermafed.server.robust.rules`; ``none`` is the mean."""

MARGIN = 0.1
"""Of balanced accuracy, by which a model of groups' sums may be worse than the last accepted one.

Three standard deviations for some 100 images of each of three classes; more than honest rounds differ by."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class RobustSettings(Settings):
    """How the server combines the clinics' updates where some of the clinics may be hostile.

    Attributes:
        rule: what takes the place of the mean.
        hostile: how many clinics may be hostile, acting together, without deciding the model.
    """

    section: ClassVar[str] = "robust"

    rule: Annotated[
        Rule,
        Field(description="What combines the updates where clinics may be hostile"),
        Key(panel="Run", later=True),
    ] = "none"
    hostile: Annotated[
        int,
        Field(ge=1, le=1000, description="Hostile clinics that the rule must bear"),
        Key(panel="Run", later=True),
    ] = 1

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.active and self.hostile != RobustSettings.hostile:
            what = f"hostile = {self.hostile} without a rule: the mean bears no hostile clinic"
            remedy = 'Write rule = "median" or another rule beside it, or leave hostile out'
            raise SettingsError(what, where="hostile", remedy=remedy)
        return self

    @property
    def active(self) -> bool:
        """Whether there is a rule."""
        return self.rule != "none"

    @property
    def least_clinics(self) -> int:
        """Updates that a round needs for the rule; see :func:`least_clinics`."""
        return least_clinics(self.rule, self.hostile)

    def groups(self, privacy: PrivacySettings) -> int:
        """Over how many groups of clinics a round's updates are summed, in a plan with this privacy.

        As few as the rule needs, so that each has as many clinics as possible; 1: there are no groups.
        """
        return self.least_clinics if self.active and privacy.is_secure else 1

    def check_clinics(self, needed: int) -> None:
        """Refuse a quorum in which the rule could not bear its hostile clinics.

        Args:
            needed: the fewest updates of a round.

        Raises:
            SettingsError: they are too few.
        """
        if self.active and needed < self.least_clinics:
            raise SettingsError(
                f"{self.rule} with {self.hostile} hostile needs {self.least_clinics} clinics, and a round may"
                f" have {needed}",
                where="robust.rule",
                remedy=f"Set quorum = {self.least_clinics} in [rules], with at least as many clinics, or"
                " choose another rule",
            )


NO_RULE = RobustSettings()
"""The mean."""


def least_clinics(rule: Rule, hostile: int) -> int:
    """Updates that a rule needs with f hostile ones among them.

    2 f + 1, so that most are honest; of Krum 2 f + 3 (Blanchard et al. 2017, proposition 4.2,
    https://arxiv.org/abs/1703.02757).
    """
    return 2 * hostile + (3 if rule == "krum" else 1)
