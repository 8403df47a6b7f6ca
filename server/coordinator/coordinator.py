"""The coordinator's loop: admit enrolled clinics, and execute one run after the other, as the record says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from dermafed.server.coordinator.queries import QueryAsker
from dermafed.server.coordinator.run_execution import RunExecutor
from dermafed.server.flower.contacts import SILENT_SECONDS
from dermafed.server.flower.link import Link
from dermafed.server.record.clinics_table import list_clinics, save_online
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import ACTIVE, Run, Status, change_status, find_run, list_runs
from dermafed.server.record.silences_table import save_silences
from dermafed.shared.errors import DermaFedError, SettingsError
from dermafed.shared.protocol.node_key import to_pem

log = logging.getLogger("dermafed.server")

TICK_SECONDS = 1.0


@dataclass
class _ActiveRun:
    """The run that is being executed."""

    run: Run
    stopped: Event
    work: Future[str]


@dataclass
class _ActiveQuery:
    """The query that the clinics are asked."""

    stopped: Event
    work: Future[None]


@dataclass(frozen=True)
class _Ending:
    """How a run ended; to be recorded."""

    run: Run
    status: Status
    why: str


@dataclass
class Coordinator:
    """Does, once a second, what the record asks for.

    An ending that cannot be recorded, such as on a full disk, is tried again.

    Attributes:
        admission: admits clinics.
        executor: executes a run.
    """

    admission: Admission
    executor: RunExecutor
    _active: _ActiveRun | None = None
    _query: _ActiveQuery | None = None
    _ending: _Ending | None = None
    _last_error: str = ""
    _again: bool = True  # whether the record is to be read although it has not changed

    def serve(self, closing: Event) -> None:
        """Work until ``closing`` is set; an active run then continues when the server starts again."""
        record = self.executor.record
        with ThreadPoolExecutor(1, thread_name_prefix="run") as pool, record.changes() as changed:
            while not closing.wait(TICK_SECONDS):
                self._tick_safely(pool, changed)
            for active in (self._active, self._query):
                if active is not None:
                    active.stopped.set()

    def tick(self, pool: ThreadPoolExecutor, changed: bool = True) -> None:
        """Act on the record, and on who is connected.

        Args:
            pool: where a run is executed.
            changed: whether the record may have changed since the last call; it is not read otherwise.

        Raises:
            DermaFedError: the record cannot be used now.
        """
        if changed:
            self._stop_if_asked()
            self.admission.apply()
        self.admission.save_contacts()
        self._record_ending()
        ended = self._end_query()
        if not (changed or ended):
            return
        if self._active is None and self._ending is None and self._query is None:
            self._start_next(pool)
            self._start_query(pool)

    def _tick_safely(self, pool: ThreadPoolExecutor, changed: Callable[[], bool]) -> None:
        """Tick without raising; the same error in a row is logged once."""
        message, again = "", self._again
        self._again = True  # until this has come to its end
        try:
            # Asked first: what is written meanwhile is read the next time.
            self.tick(pool, changed() or again)
            self._again = False
        except DermaFedError as error:
            message = str(error)
        except Exception as error:
            message = f"{type(error).__name__} in the server's loop"
            log.debug("the loop failed", exc_info=True)
        if message and message != self._last_error:
            log.error("%s", message)
        self._last_error = message

    def _stop_if_asked(self) -> None:
        active = self._active
        if active is not None and find_run(self.executor.record, active.run.name).status is Status.STOPPING:
            active.stopped.set()

    def _start_next(self, pool: ThreadPoolExecutor) -> None:
        """Continue the run that an earlier server executed, or start the next one."""
        runs = list_runs(self.executor.record)
        for run in runs:
            if run.status is Status.STOPPING:
                change_status(self.executor.record, run.number, [Status.STOPPING], Status.STOPPED)
        interrupted = [run for run in runs if run.status in (Status.AGREEING, Status.RUNNING)]
        new = [run for run in runs if run.status is Status.ASKED]
        for run in (*interrupted, *new)[:1]:
            if change_status(self.executor.record, run.number, [run.status], Status.AGREEING):
                what = "continues" if interrupted else "the clinics are asked"
                log.info("Run %d, %s: %s", run.number, run.name, what)
                stopped = Event()
                self._active = _ActiveRun(run, stopped, pool.submit(self.executor.execute, run, stopped))

    def _start_query(self, pool: ThreadPoolExecutor) -> None:
        """Ask the clinics the next query, unless a run was started."""
        executor = self.executor
        asker = QueryAsker(executor.link, executor.record, executor.runs.parent)
        if self._active is None and (query := asker.next_query()) is not None:
            log.info("Query %d, %s: the clinics are asked", query.number, query.kind)
            stopped = Event()
            self._query = _ActiveQuery(stopped, pool.submit(asker.ask, query, stopped))

    def _end_query(self) -> bool:
        """Forget a query that has ended; whether one has. Raises what it could not record."""
        if self._query is None or not self._query.work.done():
            return False
        ended, self._query = self._query, None
        ended.work.result()
        return True

    def _record_ending(self) -> None:
        if self._active is not None and self._active.work.done():
            self._ending = self._ending_of(self._active)
            self._active = None
        if self._ending is not None:
            ending = self._ending
            change_status(self.executor.record, ending.run.number, ACTIVE, ending.status, ending.why)
            self._ending = None
            level = logging.INFO if ending.status in (Status.FINISHED, Status.STOPPED) else logging.ERROR
            text = f"{ending.status}: {ending.why}" if ending.why else ending.status
            log.log(level, "Run %d, %s: %s", ending.run.number, ending.run.name, text)

    def _ending_of(self, active: _ActiveRun) -> _Ending:
        error = active.work.exception()
        if error is None:
            return _Ending(active.run, Status.FINISHED, active.work.result())
        if active.stopped.is_set() and isinstance(error, DermaFedError):
            return _Ending(active.run, Status.STOPPED, "")
        if isinstance(error, DermaFedError):
            return _Ending(active.run, Status.PAUSED, str(error))
        log.error("The run ended with an unexpected error", exc_info=error)
        return _Ending(active.run, Status.FAILED, f"{type(error).__name__}; the server's log says more")


@dataclass
class Admission:
    """Admits enrolled clinics and disconnects revoked ones.

    Attributes:
        link: the link to the clinics.
        record: the federation's database.
    """

    link: Link
    record: Record
    _nodes: dict[str, int | None] = field(default_factory=dict)  # key to node id; None: it was refused
    _saved: tuple[set[str], set[str]] | None = None  # who was connected, and who of them silent

    def apply(self) -> None:
        """Admit and disconnect what the record says.

        Raises:
            StorageError: the record cannot be read now.
        """
        enrolled = {clinic.key: clinic.name for clinic in list_clinics(self.record, revoked=False)}
        self._nodes = {key: node for key, node in self._nodes.items() if key in enrolled}
        before = self.link.nodes()
        for key in enrolled.keys() - self._nodes.keys():
            self._nodes[key] = self._register(enrolled[key], key)
        admitted = set(self._nodes.values())
        for node in before:
            if node.id not in admitted:
                self.link.remove(node.id)
                log.info("%s may no longer connect", node.clinic)

    def save_contacts(self) -> None:
        """Save who is connected, and who is silent, where that has changed.

        Raises:
            StorageError: the record cannot be written now.
        """
        online = [node for node in self.link.nodes() if node.online]
        silent = {node.clinic: node.silence for node in online if node.silence > SILENT_SECONDS}
        contacts = {node.clinic for node in online}, set(silent)
        if contacts != self._saved:
            self._saved = None  # until all of it is saved
            save_online(self.record, contacts[0])
            save_silences(self.record, silent)
            self._saved = contacts

    def _register(self, clinic: str, key: str) -> int | None:
        try:
            node = self.link.register(clinic, to_pem(key))
        except SettingsError as error:
            log.error("%s cannot connect: %s", clinic, error)
            return None
        log.info("%s may connect", clinic)
        return node
