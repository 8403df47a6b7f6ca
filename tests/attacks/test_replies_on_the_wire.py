"""A clinic that sends more than was asked, or takes what another clinic is about to send."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.proto.fleet_pb2 import PushMessagesResponse
from flwr.proto.message_pb2 import ObjectTree

from dermafed.server.coordinator.listener import listening
from dermafed.server.flower.expected_replies import LARGEST_COUNTS, LARGEST_HEAD
from dermafed.server.flower.message_store import missing_objects, object_keys
from dermafed.server.flower.private_names import (
    ErrorCode,
    get_object_tree,
    label,
    no_object_id_recompute,
)
from dermafed.shared.lesion_finder.finder_sums import FinderSums
from dermafed.shared.protocol.agreement import encode_ready
from dermafed.shared.protocol.finder_messages import encode_finder_sums
from dermafed.shared.protocol.flower_records import to_arrays
from dermafed.shared.protocol.head_messages import encode_head_sums
from dermafed.shared.protocol.messages import HEAD_TRAIN, LESIONS_QUERY, encode_instruction
from dermafed.shared.training.exact_head.head_sums import HeadSums
from tests.attacks.wire import Place, objects_in


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("wire"))


@pytest.fixture(scope="module")
def port(place: Place) -> Iterator[int]:
    with place.public() as port:
        yield port


@pytest.fixture(scope="module")
def stock(place: Place) -> Iterator[int]:
    with listening(place.stock, "127.0.0.1", 0, place.certificate) as port:
        yield port


def large(arrays: int, megabytes: int) -> RecordDict:
    random = np.random.default_rng(0)
    content = encode_ready(1.0)
    content["more"] = to_arrays(
        **{f"a{i}": random.integers(0, 255, (megabytes << 20) + 8, np.uint8) for i in range(arrays)}
    )
    return content


def test_an_ordinary_reply_arrives(place: Place, port: int) -> None:
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        key, message = place.asked(grid, 0)
        reply = Message(encode_ready(1.5), reply_to=message)
        answer = PushMessagesResponse.FromString(place.announce(0, port, reply).content)
        objects = objects_in(reply)
        assert set(answer.objects_to_push) == set(objects)
        for name, data in objects.items():
            assert place.send(0, port, run_id, answer.session_id, name, data) is True
        (arrived,) = grid.pull_messages([key])
        assert arrived.content["report"]["seconds"] == 1.5  # type: ignore[index, call-overload]
        assert len(place.link.state.object_store) == 0


def test_many_objects_beside_a_reply_are_refused_before_they_are_stored(
    place: Place, port: int, stock: int
) -> None:
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        _, message = place.asked(grid, 0, "query.offer")
        reply = Message(large(60, 0), reply_to=message)
        answer = place.announce(0, port, reply)
        assert answer.status_code == 403
        assert "more than" in answer.json()["detail"]
        assert place.announce(0, stock, reply).status_code == 200


def test_megabytes_beside_a_reply_are_refused_before_they_are_stored(
    place: Place, port: int, stock: int
) -> None:
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        for gate, held in ((port, True), (stock, False)):
            _, message = place.asked(grid, 0, "query.offer")
            reply = Message(large(4, 4), reply_to=message)
            answer = PushMessagesResponse.FromString(place.announce(0, gate, reply).content)
            results = [
                place.send(0, gate, run_id, answer.session_id, name, data)
                for name, data in objects_in(reply).items()
            ]
            assert (403 in results) == held
            assert sum(
                len(data)
                for (name, data), result in zip(objects_in(reply).items(), results, strict=True)
                if result is True
            ) <= (LARGEST_COUNTS if held else 2**30)


def test_an_update_has_the_bytes_of_the_model_and_a_little(place: Place, port: int) -> None:
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        _, message = place.asked(grid, 0, "train")
        content = encode_instruction(np.ones(4, np.float32), 1, {})
        content["more"] = ConfigRecord({"text": "x" * 2**20})
        reply = Message(content, reply_to=message)
        answer = PushMessagesResponse.FromString(place.announce(0, port, reply).content)
        results = [
            place.send(0, port, run_id, answer.session_id, name, data)
            for name, data in objects_in(reply).items()
        ]
        assert 403 in results


def largest_head() -> RecordDict:
    """Of EfficientNetB7's 2,560 features and 32 of the clinical data, and ten classes: 25.9 MiB."""
    size, classes, random = 2560 + 32 + 1, 10, np.random.default_rng(0)  # the same chunks would travel once
    targets = random.normal(size=(size, classes))
    sums = HeadSums(random.normal(size=(size, size)), targets, np.ones(classes, np.int64))
    return encode_head_sums(sums, 1.0)


def test_the_largest_head_arrives_and_what_is_longer_does_not(place: Place, port: int, stock: int) -> None:
    """By another 7 MiB beside the sums; the stock server stores them."""
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        for gate, more, refused in ((port, 0, False), (port, 7, True), (stock, 7, False)):
            _, message = place.asked(grid, 0, HEAD_TRAIN)
            content = largest_head()
            if more:
                content["more"] = large(1, more)["more"]
            reply = Message(content, reply_to=message)
            answer = PushMessagesResponse.FromString(place.announce(0, gate, reply).content)
            sent = objects_in(reply)
            results = [
                place.send(0, gate, run_id, answer.session_id, name, data) for name, data in sent.items()
            ]
            assert (403 in results) == refused
            stored = sum(
                len(data) for data, result in zip(sent.values(), results, strict=True) if result is True
            )
            assert stored <= (LARGEST_HEAD if gate == port else 2**30)


def test_the_largest_sums_of_a_lesion_finder_arrive(place: Place, port: int) -> None:
    """Of EfficientNetV2-L's 1,926 features of a cell: 14 MiB."""
    size, random = 1926 + 1, np.random.default_rng(0)
    sums = FinderSums(random.normal(size=(size, size)), random.normal(size=size), 20)
    with place.link.open_run() as run_id:
        _, message = place.asked(place.grid(run_id), 0, LESIONS_QUERY)
        reply = Message(encode_finder_sums(sums, 1.0), reply_to=message)
        answer = PushMessagesResponse.FromString(place.announce(0, port, reply).content)
        sent = objects_in(reply)
        assert sum(map(len, sent.values())) > LARGEST_COUNTS
        assert all(
            place.send(0, port, run_id, answer.session_id, name, data) is True for name, data in sent.items()
        )


def test_the_sums_of_a_head_are_no_reply_to_another_message(place: Place, port: int) -> None:
    """Which may be 8 MiB long."""
    with place.link.open_run() as run_id:
        _, message = place.asked(place.grid(run_id), 0, "evaluate")
        reply = Message(largest_head(), reply_to=message)
        answer = PushMessagesResponse.FromString(place.announce(0, port, reply).content)
        results = [
            place.send(0, port, run_id, answer.session_id, name, data)
            for name, data in objects_in(reply).items()
        ]
        assert 403 in results


def test_nobody_waits_for_a_reply_that_was_refused(
    place: Place, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Of its announcement, or of an object after it."""
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        for content in (large(60, 0), large(4, 4)):
            key, message = place.asked(grid, 0, "query.offer")
            reply = Message(content, reply_to=message)
            answer = place.announce(0, port, reply)
            for name, data in objects_in(reply).items() if answer.is_success else ():
                session = PushMessagesResponse.FromString(answer.content).session_id
                place.send(0, port, run_id, session, name, data)
            (instead,) = grid.pull_messages([key])
            assert instead.error.code == ErrorCode.REPLY_MESSAGE_UNAVAILABLE
            assert len(place.link.state.object_store) == 0
    assert "clinic 0: its reply was refused: the reply has more than 33 objects" in caplog.text
    assert "clinic 0: its reply was refused: the reply is longer than 8388608 bytes" in caplog.text


def test_many_replies_to_one_message_are_no_more_than_one(place: Place, port: int) -> None:
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        _, message = place.asked(grid, 0)
        replies = [Message(encode_ready(float(seconds)), reply_to=message) for seconds in range(30)]
        taken = [place.announce(0, port, reply).status_code for reply in replies]
        assert taken[0] == 200
        assert place.announce(0, port, replies[0]).status_code == 200  # again, after a lost connection
        assert taken.count(403) > 10
        assert set(taken[taken.index(403) :]) == {403}


def test_an_object_without_a_session_is_refused(place: Place, port: int) -> None:
    """Flower would look for any clinic's session that waits for an object of this id."""
    with place.link.open_run() as run_id:
        assert place.send(0, port, run_id, "", "0" * 64, b"x") == 403


def test_an_object_that_nobody_waits_for_is_refused(
    place: Place, port: int, stock: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Flower would log the name that it is given, whatever that is."""
    name = "\x1b[2J" * 1000
    with place.link.open_run() as run_id:
        for gate, status in ((port, 403), (stock, False)):
            grid = place.grid(run_id)
            _, message = place.asked(grid, 0)
            announced = place.announce(0, gate, Message(encode_ready(1.0), reply_to=message))
            session = PushMessagesResponse.FromString(announced.content).session_id
            assert place.send(0, gate, run_id, session, name, b"x") == status
            assert (name in "".join(caplog.messages)) == (gate == stock)


def kept_out(place: Place, gate: int, pull: bool) -> bool:
    """Whether clinic 0 keeps clinic 1's reply out by registering the id of its record with other parts."""
    with place.link.open_run() as run_id:
        grid = place.grid(run_id)
        _, mine = place.asked(grid, 0)
        key, theirs = place.asked(grid, 1)
        honest = Message(encode_ready(1.0), reply_to=theirs)  # predictable: all clinics send this
        hostile = Message(encode_ready(2.0), reply_to=mine)
        with no_object_id_recompute():
            label(hostile)
            root = get_object_tree(hostile).object_id
        taken = [name for name in objects_in(honest) if name != label(honest)]
        parts = [
            ObjectTree(object_id=name, children=[ObjectTree(object_id=f"{number + 1:064x}")])
            for number, name in enumerate(taken)
        ]
        assert place.announce(0, gate, hostile, ObjectTree(object_id=root, children=parts)).is_success
        told = place.announce(1, gate, honest)
        if not told.is_success:
            return True
        answer = PushMessagesResponse.FromString(told.content)
        for name, data in objects_in(honest).items():
            place.send(1, gate, run_id, answer.session_id, name, data)
        if not pull:  # at a stock server all replies have the names that the clinics give
            state = place.link.state
            with no_object_id_recompute():
                return bool(missing_objects(state, object_keys(state, label(honest))))
        return not [one for one in grid.pull_messages([key]) if not one.has_error()]


def test_no_clinic_keeps_anothers_reply_out(place: Place, port: int, stock: int) -> None:
    assert not kept_out(place, port, pull=True)
    assert kept_out(place, stock, pull=False)
