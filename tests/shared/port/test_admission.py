"""Which connections a port keeps when there are too many."""

from __future__ import annotations

import pytest

from dermafed.shared.port.admission import Admission, Connection, PortLimits, address_group


class Port:
    """An admission, and which connections it has closed."""

    def __init__(self, **limits: int) -> None:
        self.admission, self.closed = Admission(PortLimits(**limits)), list[Connection]()

    def enter(self, host: str, name: str = "") -> Connection:
        connection = self.admission.enter(host)
        connection.close = lambda: self.closed.append(connection)
        assert not name or self.admission.recognise(connection, name)
        return connection


def test_the_oldest_stranger_of_the_same_address_makes_room() -> None:
    port = Port(of_address=2)
    other, first, second = port.enter("10.0.0.1"), port.enter("10.0.0.2"), port.enter("10.0.0.2")
    assert port.closed == []
    port.enter("10.0.0.2")
    assert port.closed == [first]
    port.enter("10.0.0.2")
    assert port.closed == [first, second]
    assert other not in port.closed


def test_in_all_the_oldest_stranger_makes_room_and_known_callers_stay() -> None:
    port = Port(strangers=2)
    known, oldest = port.enter("10.0.0.1", "graz"), port.enter("10.0.0.2")
    port.enter("10.0.0.3")
    port.enter("10.0.0.4")
    assert port.closed == [oldest]
    for host in range(5, 50):
        port.enter(f"10.0.0.{host}")
    assert known not in port.closed


def test_known_callers_do_not_count_as_strangers_of_their_address() -> None:
    port = Port(of_address=2)
    for name in "abcdef":
        port.enter("10.0.0.1", name)
    port.enter("10.0.0.1")
    port.enter("10.0.0.1")
    assert port.closed == []


def test_a_known_caller_has_so_many_connections_and_no_more() -> None:
    port = Port(of_name=2, strangers=1)
    port.enter("10.0.0.1", "graz")
    kept = port.enter("10.0.0.1", "graz")
    third = port.enter("10.0.0.1")
    assert not port.admission.recognise(third, "graz")
    port.enter("10.0.0.2")
    assert port.closed == [third]
    port.admission.leave(kept)
    port.enter("10.0.0.1", "graz")


def test_known_callers_keep_nobody_out_however_many_they_are() -> None:
    port = Port(strangers=2)
    for clinic in range(1000):
        port.enter(f"10.0.{clinic // 250}.{clinic % 250}", f"clinic{clinic}")
    port.enter("10.1.0.1")
    port.enter("10.1.0.2")
    assert port.closed == []


def test_room_is_made_of_the_older_half_of_strangers() -> None:
    port = Port()
    port.enter("10.0.0.1", "graz")
    strangers = [port.enter(f"10.0.0.{host}") for host in range(2, 8)]
    port.admission.make_room()
    assert port.closed == strangers[:4]


def test_a_connection_that_was_closed_is_not_recognised() -> None:
    port = Port(of_address=1)
    closed = port.enter("10.0.0.1")
    port.enter("10.0.0.1")
    assert not port.admission.recognise(closed, "graz")
    assert not port.admission.is_open(closed)
    port.admission.leave(closed)


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_addresses_of_one_machine_are_one(host: str, group: str) -> None:
    assert address_group(host) == group
