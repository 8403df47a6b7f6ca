"""The kinds of bad input that are HTTP's own: each has its status and its code, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from datetime import date

import httpx
import pytest

from tests.client.clinic.http.conftest import Start
from tests.client.clinic.http.http_node import Node, png
from tests.client.clinic.http.raw import connect, form, head

PATIENT = "Wilhelmine Obermoser"


def status_and_code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code, of an answer that has nothing but what it should."""
    body = answer.json()
    assert set(body) == {"code", "error", "remedy"}
    assert all(body.values())
    assert PATIENT not in answer.text
    return answer.status_code, body["code"]


def count_saved(node: Node) -> int:
    return len(node.store.list_day(date.today()))


def upload(client: httpx.Client, **parts: object) -> httpx.Response:
    return client.post("/v1/diagnoses", files=parts)


def test_endless_body(start: Start) -> None:
    node = start(max_body_mib=1)
    raw = connect(node)
    raw.socket.sendall(head(node, node.tokens.make("camera", "device"), "Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    try:
        while sent < 2**30:
            raw.socket.sendall(chunk)
            sent += 0x10000
    except OSError:
        pass
    assert sent < 2**30, "it was read without an end"
    assert count_saved(node) == 0
    assert node.client().get("/health").json()["ready"]


def test_too_large(start: Start) -> None:
    device = start(max_body_mib=1).device()
    body = form(b"x" * 2**20)
    for sent in (body, iter([body[: 2**19], body[2**19 :]])):  # with its length, and in chunks
        answer = device.post(
            "/v1/diagnoses", content=sent, headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        assert status_and_code(answer) == (413, "too-large")


def test_too_large_is_refused_before_it_is_sent(start: Start) -> None:
    node = start(max_body_mib=1)
    raw = connect(node)
    lines = (f"Content-Length: {2**40}", "Expect: 100-continue")
    raw.socket.sendall(head(node, node.tokens.make("camera", "device"), *lines))
    answer = raw.answer()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"too-large"' in answer


def test_a_strangers_body_is_small(node: Node) -> None:
    """A form to sign in is all that is read without a token."""
    body = b"token=" + b"x" * 2**17
    form_type = {"Content-Type": "application/x-www-form-urlencoded", "Origin": node.url}
    answer = node.client().post("/sign-in", content=body, headers=form_type)
    assert status_and_code(answer) == (413, "too-large")
    signing_in = node.client().post("/sign-in", content=b"token=x", headers=form_type)
    assert signing_in.status_code == 401


def test_wrong_content_length_too_long(node: Node) -> None:
    raw = connect(node)
    body = form(png())
    raw.socket.sendall(
        head(node, node.tokens.make("camera", "device"), f"Content-Length: {len(body) + 9}") + body
    )
    raw.socket.unwrap().close()
    assert status_and_code(upload(node.device("other"), image=b"no image")) == (415, "unsupported-type")
    assert count_saved(node) == 0


def test_wrong_content_length_too_short(node: Node) -> None:
    raw = connect(node)
    body = form(png())
    raw.socket.sendall(
        head(node, node.tokens.make("camera", "device"), f"Content-Length: {len(body) // 2}") + body
    )
    assert raw.answer().startswith(b"HTTP/1.1 400 ")
    assert count_saved(node) == 0


def test_two_lengths(node: Node) -> None:
    raw = connect(node)
    lengths = ("Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 6")
    raw.socket.sendall(head(node, node.tokens.make("camera", "device"), *lengths) + b"0\r\n\r\n")
    assert raw.answer().startswith(b"HTTP/1.1 400 ")


def test_slow_upload(start: Start) -> None:
    node = start(upload_seconds=1)
    raw = connect(node)
    raw.socket.sendall(head(node, node.tokens.make("camera", "device"), "Content-Length: 1000") + b"--x")
    answer = raw.answer()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"too-slow"' in answer
    assert count_saved(node) == 0


def test_an_upload_that_keeps_coming_is_not_too_slow(start: Start) -> None:
    """Its 48 KiB give it three seconds more than the one that it has."""
    node = start(upload_seconds=1)
    raw, body = connect(node), form(png() + b"x" * 2**16)
    length = f"Content-Length: {len(body)}"
    lines = (length, "Connection: close")
    raw.socket.sendall(head(node, node.tokens.make("camera", "device"), *lines) + body[: 3 * 2**14])
    time.sleep(1.5)
    raw.socket.sendall(body[3 * 2**14 :])
    assert raw.answer().startswith(b"HTTP/1.1 200 ")
    assert count_saved(node) == 1


def test_slow_headers(start: Start) -> None:
    node = start(header_seconds=1)
    raw = connect(node)
    raw.socket.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    assert 0.5 < raw.seconds_until_closed() < 20


def test_headers_without_end(node: Node) -> None:
    raw = connect(node)
    try:
        raw.socket.sendall(b"GET /health HTTP/1.1\r\nX-Long: " + b"x" * 2**20)
    except OSError:
        return  # it was cut off while it was sent
    assert raw.answer().startswith(b"HTTP/1.1 400 ")


def test_replay(node: Node) -> None:
    device = node.device()
    files, data = {"image": ("x", png())}, {"metadata": '{"request": "r-1"}'}
    first, again = (device.post("/v1/diagnoses", files=files, data=data) for _ in range(2))
    assert (again.status_code, again.json()) == (200, first.json())
    other = device.post("/v1/diagnoses", files={"image": ("x", png(1))}, data=data)
    assert status_and_code(other) == (409, "request-reused")
    assert count_saved(node) == 1


def test_token_missing(node: Node) -> None:
    answer = upload(node.client(), image=png())
    assert status_and_code(answer) == (401, "token-missing")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer x", "Bearer", "Basic YTpi", "Bearer ø"])
def test_token_unknown(node: Node, header: str) -> None:
    node.tokens.make("camera", "device")
    answer = node.client().post(
        "/v1/diagnoses", files={"image": png()}, headers={"Authorization": header.encode()}
    )
    assert status_and_code(answer) == (401, "token-unknown")


def test_token_revoked(node: Node) -> None:
    device, clinician = node.device(), node.clinician()
    id = upload(device, image=png()).json()["id"]
    for name in ("camera-1", "anna"):
        node.tokens.revoke(name)
    assert status_and_code(device.get(f"/v1/diagnoses/{id}")) == (401, "token-unknown")
    assert status_and_code(clinician.get(f"/v1/diagnoses/{id}")) == (401, "token-missing")


def test_role(node: Node) -> None:
    device = node.device()
    id = upload(device, image=png()).json()["id"]
    answer = device.post(f"/v1/diagnoses/{id}/opinions", json={"agrees": True})
    assert status_and_code(answer) == (403, "role")
    assert device.get("/day").status_code == 403


def test_rate_limit(start: Start) -> None:
    node = start(requests_per_minute=5)
    device = node.device()
    answers = [device.get("/v1/diagnoses/none") for _ in range(6)]
    assert [each.status_code for each in answers] == [404] * 5 + [429]
    assert status_and_code(answers[-1]) == (429, "rate-limit")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 12  # five a minute: one each 12 s
    assert node.device("another").get("/v1/diagnoses/none").status_code == 404


def test_busy(start: Start) -> None:
    node = start(waiting=1)
    raw = connect(node)
    raw.socket.sendall(head(node, node.tokens.make("slow", "device"), "Content-Length: 1000") + b"--x")
    while node.client().get("/health").json()["ready"]:
        pass
    answer = upload(node.device(), image=png())
    assert status_and_code(answer) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    raw.socket.close()
    while not node.client().get("/health").json()["ready"]:
        pass
    assert upload(node.device("camera-2"), image=png()).status_code == 200


def test_script_in_file_name(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    name = f"<script>{PATIENT}</script>../../etc/passwd"
    with caplog.at_level(logging.DEBUG):
        answer = upload(node.device(), image=(name, png(), "text/html"))
        assert answer.status_code == 200
        page = node.clinician().get(f"/diagnoses/{answer.json()['id']}")
    assert page.status_code == 200
    for text in (answer.text, page.text, caplog.text):
        assert PATIENT not in text
        assert "passwd" not in text


def test_no_file_name(node: Node) -> None:
    body = form(png()).replace(b'; filename="x"', b"")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = node.device().post("/v1/diagnoses", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["image_sha256"] == hashlib.sha256(png()).hexdigest()


@pytest.mark.parametrize("kind", ["application/json", "image/jpeg", "application/x-www-form-urlencoded", ""])
def test_content_type(node: Node, kind: str) -> None:
    answer = node.device().post("/v1/diagnoses", content=png(), headers={"Content-Type": kind})
    assert status_and_code(answer) == (415, "content-type")


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("multipart/form-data", form(b"x")),
        ("multipart/form-data; boundary=y", form(b"x")),
        ("multipart/form-data; boundary=x", b"no form at all"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n"),
    ],
)
def test_multipart(node: Node, header: str, body: bytes) -> None:
    answer = node.device().post("/v1/diagnoses", content=body, headers={"Content-Type": header})
    assert status_and_code(answer) == (400, "multipart")


def test_truncated_form(node: Node) -> None:
    answer = node.device().post(
        "/v1/diagnoses",
        content=form(png())[:-9],  # without its last boundary
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert status_and_code(answer) == (400, "parts")
    assert count_saved(node) == 0


def test_two_images(node: Node) -> None:
    parts = [("image", ("a", png(1))), ("image", ("b", png(2)))]
    assert status_and_code(node.device().post("/v1/diagnoses", files=parts)) == (400, "part-twice")


def test_missing_part(node: Node) -> None:
    answer = node.device().post("/v1/diagnoses", files={"metadata": ("x", b"{}")})
    assert status_and_code(answer) == (400, "parts")


def test_unknown_part(node: Node) -> None:
    answer = upload(node.device(), image=png(), patient=PATIENT.encode())
    assert status_and_code(answer) == (400, "parts")
    assert count_saved(node) == 0


def test_metadata_unknown(node: Node) -> None:
    metadata = json.dumps({"name": PATIENT}).encode()
    assert status_and_code(upload(node.device(), image=png(), metadata=metadata)) == (400, "metadata-unknown")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::2]", ""])
def test_unknown_host(node: Node, host: str) -> None:
    answer = node.client().get("/health", headers={"Host": host})
    assert status_and_code(answer) == (421, "host-unknown")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_cross_site_post(node: Node, headers: dict[str, str]) -> None:
    clinician = node.clinician()
    id = upload(clinician, image=png()).json()["id"]
    address = f"/v1/diagnoses/{id}/opinions"
    assert status_and_code(clinician.post(address, json={"agrees": True}, headers=headers)) == (
        403,
        "cross-site",
    )
    assert status_and_code(clinician.post("/sign-out", headers=headers)) == (403, "cross-site")
    signing_in = node.client().post("/sign-in", data={"token": "x"}, headers=headers)
    assert status_and_code(signing_in) == (403, "cross-site")
    assert not node.store.list_opinions(id)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/v1/diagnoses/..%2f..%2fetc%2fpasswd",
        "/v1/diagnoses/%00",
        "/diagnoses/../../key",
        "//etc/passwd",
        "/docs",
    ],
)
def test_path_traversal(node: Node, path: str) -> None:
    raw = connect(node)
    token = node.tokens.make("camera", "device")
    raw.socket.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    answer = raw.answer()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"import" not in answer
    assert b"root:" not in answer


def test_method_not_allowed(node: Node) -> None:
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        answer = node.device(f"camera-{method}").request(method, "/v1/diagnoses")
        assert status_and_code(answer) == (405, "method-not-allowed")


def test_malformed(node: Node) -> None:
    clinician = node.clinician()
    id = upload(clinician, image=png()).json()["id"]
    for body in (b"{", b'{"agrees": "%s"}' % PATIENT.encode(), b"[" * 10_000):
        answer = clinician.post(
            f"/v1/diagnoses/{id}/opinions", content=body, headers={"Content-Type": "application/json"}
        )
        assert status_and_code(answer) == (400, "malformed")


def test_class_unknown(node: Node) -> None:
    device = node.device()
    id = upload(device, image=png()).json()["id"]
    for asked in ({"class": "wart"}, {"class": "nevus", "against": "wart"}):
        assert status_and_code(device.get(f"/v1/diagnoses/{id}/heat.png", params=asked)) == (
            400,
            "class-unknown",
        )


def test_method_unknown(node: Node) -> None:
    device = node.device()
    id = upload(device, image=png()).json()["id"]
    for method in ("wart", "evidence"):  # this model has no additive evidence
        answer = device.get(f"/v1/diagnoses/{id}/heat.png", params={"method": method})
        assert status_and_code(answer) == (400, "method-unknown")


def test_storage(node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from dermafed.shared.errors import StorageError

    def full(*_: object) -> None:
        raise StorageError("Cannot write: No space left on device", where="store")

    monkeypatch.setattr(node.store, "save", full)
    assert status_and_code(upload(node.device(), image=png())) == (503, "storage")
    assert "No space left" in caplog.text


def test_internal(node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(PATIENT)

    monkeypatch.setattr(node.service, "diagnose", fail)
    assert status_and_code(upload(node.device(), image=png())) == (500, "internal")
    assert "RuntimeError at " in caplog.text
    assert PATIENT not in caplog.text
