"""A stranger at the server's port and at that of ``fl-client serve``; ``plain`` ones have no limits."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.proto.fleet_pb2 import PullMessagesRequest
from flwr.proto.node_pb2 import Node

from tests.attacks.stranger import Attacked, attacked, flood, is_closed_within, send_short_bodies
from tests.server.flower.link_side import Caller, make_certificates, new_key, write_private

HALF_A_HEAD = b"POST /v1/fleet/push-object HTTP/1.1\r\nHost: x\r\nX-Slow: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("port")
    make_certificates(made)
    write_private(new_key(), made / "clinic.key")
    return made


@pytest.fixture(scope="module")
def ports(folder: Path) -> Iterator[dict[str, Attacked]]:
    """All of them, started at the same time."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        starts = {
            f"{guard} {kind}": pool.submit(stack.enter_context, attacked(folder, kind, guard))
            for kind in ("fleet", "page")
            for guard in ("guarded", "plain")
        }
        yield {name: start.result() for name, start in starts.items()}


@pytest.fixture(scope="module")
def fleet(ports: dict[str, Attacked]) -> Attacked:
    return ports["guarded fleet"]


@pytest.fixture(scope="module")
def plain_fleet(ports: dict[str, Attacked]) -> Attacked:
    return ports["plain fleet"]


@pytest.fixture(scope="module")
def page(ports: dict[str, Attacked]) -> Attacked:
    return ports["guarded page"]


@pytest.fixture(scope="module")
def plain_page(ports: dict[str, Attacked]) -> Attacked:
    return ports["plain page"]


class Clinic(Caller):
    """The enrolled clinic."""

    def __init__(self, port: Attacked) -> None:
        key = load_ssh_private_key((port.folder / "clinic.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        super().__init__(port.port, port.folder / "ca.pem", key)
        self.http.timeout = httpx.Timeout(10)
        self.node = Node(node_id=port.node)

    def pulls(self) -> bool:
        """Whether it is answered."""
        answer = self.call("/v1/fleet/pull-messages", PullMessagesRequest(node=self.node))
        return answer.status_code == 200


def test_no_body_of_a_stranger_is_kept(fleet: Attacked, plain_fleet: Attacked) -> None:
    grown = []
    for port in (fleet, plain_fleet):
        before = port.peak_mib()
        for connection in send_short_bodies(port, 12):
            connection.close()
        grown.append(port.peak_mib() - before)
    assert grown[0] < 48
    assert grown[1] > 12 * 12


@pytest.mark.slow
def test_forty_bodies_of_strangers_cost_less_than_100_mib(folder: Path) -> None:
    for guard, least, most in (("guarded", 0, 100), ("plain", 500, 2000)):
        with attacked(folder, "fleet", guard) as port:
            before = port.peak_mib()
            send_short_bodies(port, 40)
            grown = port.peak_mib() - before
            print(f"{guard}: {before:.0f} MiB grew by {grown:.0f}")
            assert least <= grown <= most


@pytest.mark.slow
def test_forty_bodies_of_one_clinic_cost_less_than_150_mib(folder: Path) -> None:
    """Four are read at a time; the others wait."""
    with attacked(folder, "fleet", "guarded") as port:
        clinic, before = Clinic(port), port.peak_mib()
        send_short_bodies(port, 40, clinic.headers)
        grown = port.peak_mib() - before
        print(f"{before:.0f} MiB grew by {grown:.0f}")
        assert 3 * 16 < grown < 150


def test_a_stranger_is_refused_before_the_body(fleet: Attacked) -> None:
    with fleet.secured() as connection:
        connection.sendall(HALF_A_HEAD + b"\r\nContent-Length: 16777216\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_a_silent_connection_ends(fleet: Attacked, plain_fleet: Attacked) -> None:
    check_silent_connections(fleet, seconds=1.0, end=3)
    check_silent_connections(plain_fleet, seconds=1.0, end=0)


def check_silent_connections(port: Attacked, seconds: float, end: int, handshake: bool = True) -> None:
    """Before the handshake, after it, and in the middle of a head: how many are closed in time."""
    opened = [port.tcp()] * handshake + [port.secured(), port.secured()]
    opened[-1].sendall(HALF_A_HEAD)
    last = time.monotonic() + seconds + 2
    closed = [is_closed_within(each, max(0.1, last - time.monotonic())) for each in opened]
    assert closed.count(True) == end
    for connection in opened:
        connection.close()


def test_a_byte_a_second_does_not_prolong_a_head(fleet: Attacked) -> None:
    with fleet.secured() as connection:
        connection.sendall(HALF_A_HEAD)
        start = time.monotonic()
        while not is_closed_within(connection, 0.5):
            assert time.monotonic() - start < 10
            connection.sendall(b"x")


def test_a_stranger_who_calls_on_and_on_is_disconnected(fleet: Attacked) -> None:
    with fleet.client() as stranger:
        start, seen = time.monotonic(), set[str]()
        while time.monotonic() - start < 4:
            answer = stranger.post("/v1/fleet/pull-messages", content=b"")
            assert answer.status_code == 401
            seen.add(str(answer.extensions["network_stream"].get_extra_info("client_addr")))
            time.sleep(0.2)
    assert len(seen) > 1, "one connection for ever"


def test_a_flood_from_one_address_shuts_no_clinic_out(fleet: Attacked, plain_fleet: Attacked) -> None:
    """The clinic has the stranger's own address."""
    known = Clinic(fleet)
    with flood(fleet, 400):
        assert known.pulls(), "a connection that is known is not closed"
        assert Clinic(fleet).pulls(), "and a new one is answered"
    with flood(plain_fleet, 400), pytest.raises(httpx.TransportError):
        Clinic(plain_fleet).pulls()


def test_finished_handshakes_shut_no_clinic_out(fleet: Attacked) -> None:
    held = [fleet.secured() for _ in range(80)]
    assert Clinic(fleet).pulls()
    for connection in held:
        connection.close()


def test_without_file_descriptors_it_neither_spins_nor_ends(fleet: Attacked) -> None:
    clinic = Clinic(fleet)
    fleet.allow_files(fleet.files() + 8)
    try:
        with flood(fleet, 150):
            before = fleet.cpu_seconds()
            time.sleep(2)
            assert fleet.cpu_seconds() - before < 1
            assert clinic.pulls()
    finally:
        fleet.allow_files(128)
    assert Clinic(fleet).pulls()


def replayed(port: Attacked, other_number: bool = False) -> int:
    """The status of another body with the signature of the call before."""
    clinic = Clinic(port)
    headers = clinic.headers()
    first = PullMessagesRequest(node=clinic.node).SerializeToString()
    path = "/v1/fleet/pull-messages"
    assert clinic.http.post(path, content=first, headers=headers).status_code == 200
    if other_number:
        headers["flwr-signature"] = mirrored(headers["flwr-signature"])
    other = first + b"\x98\x06\x01"  # with a field that nobody knows
    return clinic.http.post(path, content=other, headers=headers).status_code


def mirrored(signature: str) -> str:
    """The other valid signature that anyone can make of one: (r, n - s)."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
    r, s = decode_dss_signature(b64decode(signature))
    return b64encode(encode_dss_signature(r, order - s)).decode()


@pytest.mark.parametrize("other_number", [False, True])
def test_no_signature_is_good_for_a_second_body(
    fleet: Attacked, plain_fleet: Attacked, other_number: bool
) -> None:
    assert replayed(fleet, other_number) == 401
    assert replayed(plain_fleet, other_number) == 200


def test_a_silent_connection_to_the_page_ends(page: Attacked, plain_page: Attacked) -> None:
    check_silent_connections(page, seconds=1.0, end=2, handshake=False)
    check_silent_connections(plain_page, seconds=1.0, end=0, handshake=False)


@pytest.mark.slow
def test_a_silent_handshake_with_the_page_ends_after_10_s(page: Attacked) -> None:
    check_silent_connections(page, seconds=10.0, end=3)


def test_a_flood_shuts_nobody_out_of_the_page(page: Attacked, plain_page: Attacked) -> None:
    with flood(page, 400), page.client() as clinician:
        assert clinician.get("/").text == '"hello"'
    with flood(plain_page, 400), plain_page.client(2) as clinician, pytest.raises(httpx.TransportError):
        clinician.get("/")


def test_without_file_descriptors_the_page_neither_spins_nor_ends(page: Attacked) -> None:
    page.allow_files(page.files() + 8)
    try:
        with flood(page, 150):
            before = page.cpu_seconds()
            time.sleep(2)
            assert page.cpu_seconds() - before < 1
    finally:
        page.allow_files(128)
    with page.client() as clinician:
        assert clinician.get("/").status_code == 200
