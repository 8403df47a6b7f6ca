"""A hostile device, with a token of its own, at ``fl-client serve``; an honest one is served meanwhile."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from dermafed.client.clinic.http.tokens import TOKENS, Role, Tokens
from dermafed.client.node.home import Home, make_home
from tests.client.clinic.http.http_node import png
from tests.client.clinic.http.test_start import serving
from tests.client.small_model import save_small_model

pytestmark = pytest.mark.journey

ALLOWED = 60  # requests a minute of one token


@dataclass
class Served:
    """A node in a process of its own.

    Attributes:
        home: the clinic's folder.
        address: of the API.
    """

    home: Home
    address: str

    def client(self, token: str) -> httpx.Client:
        tls = ssl.create_default_context(cafile=str(self.home.serving / "ca.pem"))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.address, verify=tls, headers=headers, timeout=120, trust_env=False)

    def device(self, name: str, role: Role = "device") -> httpx.Client:
        """The client of a new device."""
        return self.client(Tokens(self.home.serving / TOKENS).make(name, role))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clinic")
    home = make_home(folder / "graz", "graz", folder)
    with home.settings_file.open("a") as file:
        file.write(f"\n[serve]\nrequests_per_minute = {ALLOWED}\n")
    with serving(home, save_small_model(folder)) as (_, address):
        yield Served(home, address)


def send(device: httpx.Client, seed: int, request: str = "") -> httpx.Response:
    data = {"metadata": f'{{"request": "{request}"}}'} if request else {}
    return device.post("/v1/diagnoses", files={"image": ("x", png(seed))}, data=data)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_wrong_token_reads_and_sends_nothing(node: Served) -> None:
    honest = node.device("camera")
    id = send(honest, 1).json()["id"]
    for token in ("", "x", "0" * 64, "camera", "../tokens/camera", "a" * 7000):
        with node.client(token) as stranger:
            assert send(stranger, 1).status_code == 401
            assert stranger.get(f"/v1/diagnoses/{id}").status_code == 401
    assert honest.get(f"/v1/diagnoses/{id}").json()["id"] == id


def test_another_devices_diagnosis_is_none_of_its_business(node: Served) -> None:
    honest, hostile = node.device("camera-1"), node.device("hostile-1")
    id = send(honest, 2).json()["id"]
    for path in ("", "/fhir", "/overlay", "/layer"):
        assert hostile.get(f"/v1/diagnoses/{id}{path}").status_code in (403, 404)
    assert hostile.post(f"/v1/diagnoses/{id}/opinions", json={"agrees": False}).status_code == 403
    assert hostile.get(f"/diagnoses/{id}").status_code in (401, 403)
    assert honest.get(f"/v1/diagnoses/{id}").status_code == 200


def test_a_request_again_has_its_own_image_and_its_own_device(node: Served) -> None:
    honest, hostile = node.device("camera-2"), node.device("hostile-2")
    first = send(honest, 3, "r-1").json()
    assert send(honest, 3, "r-1").json() == first
    assert code(send(honest, 4, "r-1")) == (409, "request-reused")
    own = send(hostile, 5, "r-1")  # the name is another device's, and nothing of that is told
    assert own.status_code == 200
    assert own.json()["id"] != first["id"]
    assert honest.get(f"/v1/diagnoses/{first['id']}").json() == first


def test_a_flood_is_answered_429_while_another_device_is_served(node: Served) -> None:
    honest, hostile = node.device("camera-3"), node.device("hostile-3")
    with ThreadPoolExecutor(8) as threads:
        flood = [threads.submit(hostile.get, "/v1/diagnoses/none") for _ in range(6 * ALLOWED)]
        served = [send(honest, 10 + number).status_code for number in range(3)]
        answers = [answer.result().status_code for answer in flood]
    assert served == [200, 200, 200]
    assert set(answers) == {404, 429}
    assert answers.count(404) < 3 * ALLOWED  # those of the minutes that it took
    while hostile.get("/v1/diagnoses/none").status_code != 429:
        pass  # another minute has begun
    assert code(send(hostile, 20)) == (429, "rate-limit")
    with node.client("") as anyone:
        assert anyone.get("/health").json()["ready"]
