"""What the clinic has answered in a run: one training and one evaluation a round, in order, counted on disk.

Whoever may ask a clinic to evaluate models of his making, as often as he likes, learns the score of single
images. So each request has its place, and a place is taken once. The same request again gets the same reply
again: a server that died, or that lost a reply, can go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from flwr.app import MessageType, RecordDict

from dermafed.client.node.flower.contents import content_from_bytes, content_to_bytes
from dermafed.client.node.replying import NotApproved
from dermafed.shared.errors import StorageError
from dermafed.shared.protocol.messages import (
    AUDIT_QUERY,
    CALIBRATE_QUERY,
    EXPLAIN_QUERY,
    HEAD_TRAIN,
    LESIONS_QUERY,
    OFFSETS_QUERY,
    SCORES_QUERY,
    SLOPES_TRAIN,
)
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

SAVED_ROUNDS = 3  # whose replies are at hand; a resumed run may go back by a round or two
_CALIBRATIONS = 2  # one for the temperature, one for the counts at it
_POINTS = 24  # of scale and offsets: offset_fit.MOST_POINTS, and some for a server that starts again
_SCORES = 1  # counts of scores: two that differ by one lesion's bin would show more of it
_LESIONS = 1  # sums of a lesion finder: two that differ by one image would show it
_AUDITS = 1  # sums of an audit, for the same reason
_HEADS = 48  # of the last layer: twice logistic.MOST_POINTS, for a fit anew where a clinic falls away
_OF_ONE_MODEL = {
    CALIBRATE_QUERY: _CALIBRATIONS,
    OFFSETS_QUERY: _POINTS,
    SCORES_QUERY: _SCORES,
    LESIONS_QUERY: _LESIONS,
    AUDIT_QUERY: _AUDITS,
}


class Asked(Protocol):
    """What a message asks for: something of a round's model."""

    @property
    def round(self) -> int:
        """The model's round."""

    @property
    def model(self) -> str:
        """SHA-256 of its weights."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the clinic answers with something of its images.

    Attributes:
        kind: the message's type.
        round: its round.
        content: SHA-256 of its content.
        model: SHA-256 of its weights.
    """

    kind: str
    round: int
    content: str
    model: str

    @classmethod
    def of(cls, kind: str, content: RecordDict, asked: Asked) -> Request:
        """The request in a message."""
        return cls(kind, asked.round, content.object_id, asked.model)


@dataclass(frozen=True, slots=True)
class Answered:
    """The requests of a plan that were answered, whatever run of the plan they came in.

    Attributes:
        folder: of the plan's requests and replies.
    """

    folder: Path

    def answer(self, request: Request, work: Callable[[], RecordDict]) -> RecordDict:
        """The reply to a request: that of before if it was answered before, otherwise that of `work`.

        It is on the disk before it is returned, so that nothing leaves uncounted.

        Raises:
            NotApproved: its place in the run is taken by another request, or lies in the past.
            StorageError: the requests cannot be read, or the reply cannot be written.
        """
        before = self._load()
        if request in before:
            return self._saved(request)
        _check(request, before)
        reply = work()
        make_private_folder(self.folder)
        write_private(self._reply(request), content_to_bytes(reply))
        after = [*before, request]
        write_private(self._list, json.dumps([asdict(each) for each in after], indent=2).encode())
        self._remove_old(after)
        return reply

    def _load(self) -> list[Request]:
        if not self._list.exists():
            return []
        try:
            return [Request(**values) for values in json.loads(self._list.read_text("utf-8"))]
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(
                "What was answered in this run cannot be read",
                where=self._list,
                remedy="Restore it from your backup; without it, this run cannot go on here",
            ) from error

    def _saved(self, request: Request) -> RecordDict:
        try:
            return content_from_bytes(self._reply(request).read_bytes())
        except (OSError, ValueError) as error:
            raise NotApproved(f"{_name(request)} was answered before; its reply is gone") from error

    def _remove_old(self, requests: list[Request]) -> None:
        rounds = sorted({each.round for each in requests})[-SAVED_ROUNDS:]
        kept = {self._reply(each) for each in requests if each.round in rounds}
        for path in self.folder.glob("*.reply"):
            if path not in kept:
                path.unlink()

    def _reply(self, request: Request) -> Path:
        return self.folder / f"{request.kind}-{request.round}-{request.content}.reply"

    @property
    def _list(self) -> Path:
        return self.folder / "answered.json"


def _check(request: Request, before: list[Request]) -> None:
    """Refuse a request whose place is taken."""
    same = [each for each in before if each.kind == request.kind]
    if request.kind == EXPLAIN_QUERY and same:
        raise NotApproved("Explanations were measured already, of another model")
    if request.kind in _OF_ONE_MODEL:
        _check_calibration(request, [each for each in before if each.kind in _OF_ONE_MODEL], len(same))
    if request.kind == SLOPES_TRAIN:
        _check_slopes(request, before, len(same))
    if (place := _place(request)) and place <= max(map(_place, before), default=0):
        raise NotApproved(f"{_name(request)} comes too late: the round has one, and rounds go on in order")


def _check_calibration(request: Request, before: list[Request], same: int) -> None:
    """One model is calibrated, at so many temperatures and points; its sums come before its slopes.

    A lesion finder and an audit are of the same model.
    """
    if any(each.model != request.model for each in before):
        raise NotApproved("Another model was calibrated already, has a lesion finder, or was audited")
    if same >= _OF_ONE_MODEL[request.kind]:
        raise NotApproved(f"{_name(request)} was answered already, for this model")
    uncalibrated = all(each.kind in (LESIONS_QUERY, AUDIT_QUERY) for each in before)
    if request.kind in (OFFSETS_QUERY, SCORES_QUERY) and uncalibrated:
        raise NotApproved("The slopes or scores of a model that was not calibrated")


def _check_slopes(request: Request, before: list[Request], same: int) -> None:
    """Of the model whose features were summed up, at so many heads, before the round is evaluated."""
    if not any(each.kind == HEAD_TRAIN and each.model == request.model for each in before):
        raise NotApproved("The slopes of a model whose features were not summed up")
    if same >= _HEADS or any(
        each.kind == MessageType.EVALUATE and each.round == request.round for each in before
    ):
        raise NotApproved("The last layer was trained already")


def _place(request: Request) -> int:
    """Its place in the order of trainings and evaluations; 0 for what comes after them."""
    places = {MessageType.TRAIN: 0, HEAD_TRAIN: 0, MessageType.EVALUATE: 1}
    return 2 * request.round + places[request.kind] if request.kind in places else 0


def _name(request: Request) -> str:
    return f"The message '{request.kind}' of round {request.round}"
