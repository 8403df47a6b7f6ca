"""Replay a round's secure sums from the clinic's transcripts: check again what can be checked afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dermafed.client.node.offers import StoredOffer
from dermafed.client.node.sum_transcript import SumTranscripts, Taken
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_PARTS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
)
from dermafed.shared.protocol.summed import Label, Summing
from dermafed.shared.secure_sum.adverts import Advert, Cohort
from dermafed.shared.secure_sum.context import KeyContext, Task
from dermafed.shared.secure_sum.groups import group_of
from dermafed.shared.secure_sum.reveals import Reveals
from dermafed.shared.secure_sum.session import Session, check_cohort, open_session, refused
from dermafed.shared.secure_sum.signing import is_signed
from dermafed.shared.secure_sum.survivors import Signatures, SignedSurvivors, Survivors
from dermafed.shared.secure_sum.terms import Terms

_LIE = "Keep the transcript and the log, and ask who runs the server"


@dataclass(frozen=True)
class Check:
    """Something that was checked again.

    Attributes:
        what: it, in words.
        fault: why it does not hold; empty where it does.
    """

    what: str
    fault: str = ""


@dataclass
class Replayed:
    """An attempt at a sum.

    Attributes:
        label: which of the round's sums.
        attempt: the attempt's number.
        steps: the steps that this clinic took.
        clinics: whose values are in the sum, as far as this clinic was told.
        checks: what was checked.
    """

    label: str
    attempt: int
    steps: list[Taken]
    clinics: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True)
class Replay:
    """Replays the rounds of a plan.

    Attributes:
        stored: the plan, as it was approved.
        name: this clinic's in the roster.
        transcripts: the clinic's.
    """

    stored: StoredOffer
    name: str
    transcripts: SumTranscripts

    def round(self, number: int) -> list[Replayed]:
        """The attempts of a round, in order; none where this clinic took no part.

        Raises:
            StorageError: a transcript cannot be read.
        """
        labels: tuple[Label, ...] = ("counts", "train", "evaluate")
        return [
            self._replayed(label, number, attempt)
            for label in labels
            for attempt in self.transcripts.attempts(label, number)
        ]

    def models(self, number: int) -> list[Check]:
        """Whether the models of a round and of the next one follow from each other, as far as can be told."""
        trained, validated, following = (
            self._model(label, of)
            for label, of in (("train", number), ("evaluate", number), ("train", number + 1))
        )
        checks = []
        if validated and following and following in (validated, trained):
            kept = "the one that was validated" if following == validated else "that of before: rolled back"
            checks.append(Check(f"the model of round {number + 1} is {kept}"))
        elif validated and following:
            checks.append(Check(f"the model of round {number + 1}", "it is another than was validated"))
        return [*checks, *self._moves(number)]

    def _moves(self, number: int) -> Iterator[Check]:
        largest = self.stored.offer.privacy.largest_change
        for more in self._asked("evaluate", number):
            if "moved" not in more:
                continue
            what = f"the model moved no weight by more than {more['moved']:.3g}"
            beyond = self.stored.offer.strategy in ("fedavg", "fedprox") and more["moved"] > largest
            yield Check(what, f"changes of up to {largest:g} cannot do that" if beyond else "")
            if more["cosine"] is not None:
                yield Check(f"its step and this clinic's own have a cosine of {more['cosine']:.2f}")

    def _model(self, label: str, number: int) -> str:
        """SHA-256 of the model that a sum was asked with; empty where there was none."""
        return next((str(more["weights"]) for more in self._asked(label, number)), "")

    def _asked(self, label: str, number: int) -> Iterator[dict[str, Any]]:
        for attempt in self.transcripts.attempts(label, number):
            for taken in self.transcripts.load(label, number, attempt):
                if "weights" in taken.more:
                    yield dict(taken.more)

    def _replayed(self, label: Label, number: int, attempt: int) -> Replayed:
        steps = self.transcripts.load(label, number, attempt)
        found = Replayed(label, attempt, steps)
        by_kind = {taken.kind: taken for taken in steps if not taken.refused}
        found.checks = [Check(f"refused: {taken.kind}", taken.refused) for taken in steps if taken.refused]
        if SUM_KEYS in by_kind:
            sizes = (int(by_kind[SUM_KEYS].more.get(name, 0)) for name in ("parameters", "coded"))
            terms = Summing.of(self.stored.offer, self.stored.class_counts).terms(label, *sizes)
            _Attempt(found, terms, self.name, by_kind).check(label, number, self.stored.runs)
        return found


@dataclass(frozen=True)
class _Attempt:
    """An attempt that is checked again.

    Attributes:
        found: where it is noted.
        terms: what this clinic approved.
        name: this clinic's.
        by_kind: its steps.
    """

    found: Replayed
    terms: Terms
    name: str
    by_kind: dict[str, Taken]

    def check(self, label: Label, number: int, runs: tuple[int, ...]) -> None:
        context = KeyContext.from_bytes(self.by_kind[SUM_KEYS].received.message)
        asked = self.by_kind.get(SUMMED[label])
        model = str(asked.more["model"]) if asked else context.model
        run = context.run if context.run in runs else 0
        self._check(
            "plan, roster, threshold and model in the key context are those that were approved and sent",
            lambda: self.terms.check(context, Task(run, number, label, model)),
        )
        if SUM_SHARES not in self.by_kind:
            return
        cohort, reveals = self._drawn()
        self._check("enough clinics take part, each in the roster", lambda: check_cohort(self.terms, cohort))
        try:
            whole = open_session(self.terms, context, cohort, reveals)
            session = group_of(whole, self.terms.roster.place(self.name))
        except (FederationError, StopIteration) as error:
            self.found.checks.append(Check("who is with whom", str(error) or "this clinic is not in it"))
            return
        if self.terms.draws_graph:
            self.found.checks.append(Check("the seed was drawn by those who committed to its parts"))
        holders = session.holders(self.terms.roster.place(self.name))
        self._check(
            "each peer's keys are signed with the key that it enrolled with",
            lambda: session.check_signed(holders),
        )
        self._check("this clinic's own keys are among them, unchanged", lambda: self._own(cohort))
        self._check_list(session)

    def _drawn(self) -> tuple[Cohort, Reveals]:
        shares = self.by_kind[SUM_SHARES].received.message
        if SUM_PARTS in self.by_kind:
            return Cohort.from_bytes(self.by_kind[SUM_PARTS].received.message), Reveals.from_bytes(shares)
        return Cohort.from_bytes(shares), Reveals(())

    def _own(self, cohort: Cohort) -> None:
        if Advert.from_bytes(self.by_kind[SUM_KEYS].sent.message) not in cohort.adverts:
            raise refused("Others were told other keys of this clinic than it sent", _LIE)

    def _check_list(self, session: Session) -> None:
        """The list of survivors, its signatures, and what was released."""
        if SUM_SURVIVORS not in self.by_kind:
            return
        taken, names, place = (
            self.by_kind[SUM_SURVIVORS],
            self.terms.roster.names,
            self.terms.roster.place(self.name),
        )
        survivors = Survivors.from_bytes(taken.received.message)
        self.found.clinics = [names[clinic] for clinic in survivors.clinics]
        needed = session.threshold
        if place not in survivors.clinics or not set(survivors.clinics) <= session.adverts.keys():
            self.found.checks.append(
                Check("the signed list", "it lacks this clinic, or has one without keys")
            )
        own = SignedSurvivors.from_bytes(taken.sent.message)
        self._check(
            f"this clinic signed one list, of {len(survivors.clinics)} clinics; {needed} are needed",
            lambda: self._signed(session, survivors, Signatures((own,)), 1),
        )
        if (release := self.by_kind.get(SUM_RELEASE)) is None:
            return
        signatures = Signatures.from_bytes(release.received.message)
        self._check(
            f"{len(signatures.signed)} clinics signed the same list before anything was released",
            lambda: self._signed(session, survivors, signatures, needed),
        )
        self._check(
            f"one share was released of each of {sum(map(len, release.more.values()))} clinics: of those in "
            "the sum of their own mask, of others of their masks with peers",
            lambda: _released_one(release, survivors),
        )

    def _signed(self, session: Session, survivors: Survivors, signatures: Signatures, needed: int) -> None:
        text, keys = survivors.signed_text(session.digest), self.terms.roster.keys
        right = {
            clinic for clinic, signature in signatures.signed if is_signed(keys[clinic], signature, text)
        }
        if len(right) < max(needed, len(signatures.signed)) or not right <= {*survivors.clinics}:
            raise refused(f"{len(right)} signatures are of this list, of {len(signatures.signed)}", _LIE)

    def _check(self, what: str, check: Callable[[], object]) -> None:
        try:
            check()
        except (FederationError, IndexError) as error:
            self.found.checks.append(Check(what, str(error)))
        else:
            self.found.checks.append(Check(what))


def _released_one(release: Taken, survivors: Survivors) -> None:
    seeds, keys = (set(release.more.get(name, ())) for name in ("self_seed", "mask_key"))
    if not seeds <= {*survivors.clinics} or keys & {*survivors.clinics}:
        raise refused("Shares of both secrets of a clinic can be put together", _LIE)
