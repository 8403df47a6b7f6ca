"""The clinic's long-lived worker: take tasks from the SuperNode, answer them, and load Keras only once."""

from __future__ import annotations

import hashlib
import logging
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp

from dermafed.client.node.audit import Entry, append_entry
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.flower.bell import Bell
from dermafed.client.node.flower.tasks import (
    Task,
    TaskFiles,
    TaskSource,
    TaskTakenBack,
    UnfinishedTask,
    message_parts,
)
from dermafed.client.node.gate import filter_reply
from dermafed.client.node.health import READY
from dermafed.client.node.home import Home, open_home
from dermafed.client.node.known_models import KnownModels
from dermafed.shared.errors import DermaFedError
from dermafed.shared.process import end_with_parent, lower_priority
from dermafed.shared.protocol.known_model import UnknownModel
from dermafed.shared.protocol.messages import Refusal

_IDLE_SECONDS = 5.0  # between two looks for a task, if the SuperNode does not ring
_APP_FAILED = 2  # Flower's own code for it

log = logging.getLogger("dermafed.client")


class StopRequested(BaseException):
    """Someone asked this process to end; no handler of ordinary errors may catch it."""


def answer_tasks(home: Home, address: str, app: ClientApp, consent: ClinicConsent) -> None:
    """Answer tasks until someone asks this process to end.

    Args:
        home: the clinic's folder.
        address: ``host:port`` of the SuperNode on this machine.
        app: gives the answers.
        consent: knows how many classes a run's model has.

    Raises:
        StorageError: the audit log cannot be written; the reply did not leave.
    """
    lower_priority()  # a clinician may be waiting for a diagnosis on this machine
    source, files = TaskSource(address, home.secret.read_bytes()), TaskFiles(home.node)
    models, bell = KnownModels(), Bell(home.bell)
    print(READY, flush=True)
    _resume(home, address, app, consent, models)
    while True:
        task = source.next_task()
        if task is None:
            bell.wait(_IDLE_SECONDS)
            continue
        with task.heartbeats(), suppress(TaskTakenBack):
            message, ids = task.pull()
            work = UnfinishedTask(task.token, ids, message)
            files.save(work)
            _finish(home, task, work, app, consent, models)


def _resume(home: Home, address: str, app: ClientApp, consent: ClinicConsent, models: KnownModels) -> None:
    """Answer the task that a worker before this one died over, if the SuperNode still waits for it."""
    files = TaskFiles(home.node)
    work = files.resume()
    if work is None:
        return
    task = Task(address, work.token)
    if not task.is_alive():
        files.clear()
        return
    log.warning("finishing a task that a worker died over")
    with task.heartbeats():
        _finish(home, task, work, app, consent, models)


def _finish(
    home: Home,
    task: Task,
    work: UnfinishedTask,
    app: ClientApp,
    consent: ClinicConsent,
    models: KnownModels,
) -> None:
    files, message, context = TaskFiles(home.node), work.message, work.ids.context()
    stopped: StopRequested | None = None
    try:
        reply = _interrupted(message) if work.again else _answer(app, message, context, models)
    except StopRequested as error:
        stopped, reply = error, _interrupted(message)
    run = context.run_id
    reply = filter_reply(reply, message, consent.classes(run), secure=consent.is_secure(run))
    models.spare(reply, message, run)
    _append_to_audit(home.audit, reply, context)
    files.start_push()
    with suppress(TaskTakenBack):
        task.push(reply, context)
    files.clear()
    if stopped is not None:
        raise stopped


def _answer(app: ClientApp, message: Message, context: Context, models: KnownModels) -> Message:
    try:
        models.complete(message, context.run_id)
        return app(message, context)
    except UnknownModel:
        return Message(Error(code=int(Refusal.MODEL_UNKNOWN), reason="UnknownModel"), reply_to=message)
    except Exception as error:
        log.exception("no answer to %s", message.metadata.message_type)
        return Message(Error(code=_APP_FAILED, reason=type(error).__name__), reply_to=message)


def _interrupted(message: Message) -> Message:
    return Message(Error(code=int(Refusal.INTERRUPTED), reason="Interrupted"), reply_to=message)


def _append_to_audit(audit: Path, reply: Message, context: Context) -> None:
    parts = message_parts(reply)
    metadata = reply.metadata
    kind = f"{metadata.message_type} error {reply.error.code}" if reply.has_error() else metadata.message_type
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    size = sum(map(len, parts))
    append_entry(audit, Entry(context.run_id, metadata.group_id, kind, size, digest.hexdigest()))


def stop_on_signals() -> None:
    """Let SIGTERM and SIGINT end the current task with a reply."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise StopRequested

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def main(folder: Path, address: str) -> None:
    """The worker's process."""
    end_with_parent()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    stop_on_signals()
    try:
        # Keras is loaded here, before the first task.
        from dermafed.client.node.node_app import build_node_app

        home = open_home(folder)
        app, consent = build_node_app(home)
        answer_tasks(home, address, app, consent)
    except StopRequested:
        return
    except DermaFedError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
