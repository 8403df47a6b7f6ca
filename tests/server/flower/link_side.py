"""What the tests of the link need: keys, certificates, signed calls, and a node without a network."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME
from google.protobuf.message import Message as Proto

from dermafed.server.coordinator.listener import Certificate
from dermafed.server.flower.link import Link
from dermafed.server.flower.message_store import missing_objects, object_keys, read_message, store_message
from dermafed.server.flower.node_objects import objects_of
from tests.stock_superlink import stock_superlink

PEM = serialization.Encoding.PEM


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def write_private(key: ec.EllipticCurvePrivateKey, path: Path) -> Path:
    """The key as ``flower-supernode`` reads it."""
    path.write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    path.chmod(0o600)
    return path


def make_certificates(folder: Path) -> tuple[Path, Certificate]:
    """A CA, and a certificate of it for 127.0.0.1."""
    ca_key, key, now = new_key(), new_key(), datetime.datetime.now(datetime.UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])

    def certificate(name: x509.Name, subject_key: ec.EllipticCurvePrivateKey, ca: bool) -> x509.Certificate:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(subject_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(ca_key, hashes.SHA256())
        )

    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    (folder / "ca.pem").write_bytes(certificate(issuer, ca_key, True).public_bytes(PEM))
    (folder / "server.pem").write_bytes(certificate(server, key, False).public_bytes(PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "ca.pem", Certificate(folder / "server.pem", folder / "server.key")


class Caller:
    """Calls a server as a SuperNode does, by HTTP with signed timestamps."""

    def __init__(self, port: int, ca: Path, key: ec.EllipticCurvePrivateKey) -> None:
        self.key = key
        context = ssl.create_default_context(cafile=str(ca))
        self.http = httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=context, trust_env=False, timeout=60
        )

    def headers(self) -> dict[str, str]:
        stamp = datetime.datetime.now(datetime.UTC).isoformat()
        signature = self.key.sign(stamp.encode(), ec.ECDSA(hashes.SHA256()))
        return {
            "content-type": "application/protobuf",
            "flwr-public-key": b64encode(public_pem(self.key)).decode(),
            "flwr-signature": b64encode(signature).decode(),
            "flwr-timestamp": stamp,
        }

    def call(self, path: str, request: Proto, **headers: str) -> httpx.Response:
        content = request.SerializeToString()
        return self.http.post(path, content=content, headers={**self.headers(), **headers})


def stock_app(link: Link) -> FastAPI:
    """Flower's own app, with all its APIs, over the state of a link."""
    app = stock_superlink(FLWR_IN_MEMORY_DB_NAME)
    app.state.linkstate_factory.state_instance = link.state
    return app


def received(link: Link, message_id: str) -> Message:
    """A message as its node has it once all of it has come."""
    keys = object_keys(link.state, message_id)
    while missing_objects(link.state, keys):
        time.sleep(0.01)
    message = read_message(link.state, message_id)
    message.metadata.__dict__["_message_id"] = message_id
    return message


@contextmanager
def node_in_process(link: Link, node_id: int, app: ClientApp, partition: int) -> Iterator[list[str]]:
    """A clinic that works on the server's state itself; gives the types of the messages it got."""
    state, over, seen = link.state, threading.Event(), list[str]()
    context = Context(1, node_id, {"partition-id": partition}, RecordDict(), {})
    state.activate_node(node_id, 1800.0)  # it sends no heartbeats

    def work() -> None:
        while not over.wait(0.1):
            for stub in state.get_message_ins(node_id, 1):
                message = received(link, stub.metadata.message_id)
                seen.append(message.metadata.message_type)
                reply: Message = app(message, context)
                state.object_store.delete(stub.metadata.message_id)  # as a SuperNode confirms
                with objects_of(node_id):
                    store_message(state, stub.metadata.run_id, reply)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
