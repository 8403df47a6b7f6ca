"""The server's loop: it lets clinics in and out, and holds one run after the other, as the record says."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from dermafed.server.coordinator.engine import Engine
from dermafed.server.coordinator.run_execution import Holder
from dermafed.server.record.clinics_table import list_clinics, note_online
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import HELD, Run, Status, find_run, list_runs, move
from dermafed.shared.errors import DermaFedError, SettingsError
from dermafed.shared.protocol.node_key import to_pem

log = logging.getLogger("dermafed.server")

TICK_SECONDS = 1.0


@dataclass
class _Held:
    """The run that is being held."""

    run: Run
    stopped: Event
    work: Future[str]


@dataclass(frozen=True)
class _Ending:
    """How a run ended, to be recorded."""

    run: Run
    status: Status
    why: str


@dataclass
class Coordinator:
    """Does, once a second, what the record asks for.

    Whatever it cannot record, such as on a full disk, it keeps and tries again.

    Attributes:
        admission: lets clinics in and out.
        holder: holds a run.
    """

    admission: Admission
    holder: Holder
    _held: _Held | None = None
    _ending: _Ending | None = None
    _complained: str = ""

    def serve(self, closing: Event) -> None:
        """Work until ``closing`` is set; a run that is held then goes on when the server starts again."""
        with ThreadPoolExecutor(1, thread_name_prefix="run") as pool:
            while not closing.wait(TICK_SECONDS):
                self._guarded(pool)
            if self._held is not None:
                self._held.stopped.set()

    def tick(self, pool: ThreadPoolExecutor) -> None:
        """One look at the record.

        Raises:
            DermaFedError: the record or the engine cannot be used now.
        """
        self._stop_if_asked()
        self.admission.apply()
        self._note_ending()
        if self._held is None and self._ending is None:
            self._take_up(pool)

    def _guarded(self, pool: ThreadPoolExecutor) -> None:
        """A tick that no error ends; the same trouble is told once."""
        trouble = ""
        try:
            self.tick(pool)
        except DermaFedError as error:
            trouble = str(error)
        except Exception as error:
            trouble = f"{type(error).__name__} in the server's loop"
            log.debug("the loop failed", exc_info=True)
        if trouble and trouble != self._complained:
            log.error("%s", trouble)
        self._complained = trouble

    def _stop_if_asked(self) -> None:
        held = self._held
        if held is not None and find_run(self.holder.record, held.run.name).status is Status.STOPPING:
            held.stopped.set()

    def _take_up(self, pool: ThreadPoolExecutor) -> None:
        """Go on with the run that an earlier server held, or start the next one."""
        runs = list_runs(self.holder.record)
        for run in runs:
            if run.status is Status.STOPPING:
                move(self.holder.record, run.number, [Status.STOPPING], Status.STOPPED)
        held = [run for run in runs if run.status in (Status.AGREEING, Status.RUNNING)]
        asked = [run for run in runs if run.status is Status.ASKED]
        for run in (*held, *asked)[:1]:
            if move(self.holder.record, run.number, [run.status], Status.AGREEING):
                what = "goes on" if held else "the clinics are asked"
                log.info("Run %d, %s: %s", run.number, run.name, what)
                stopped = Event()
                self._held = _Held(run, stopped, pool.submit(self.holder.hold, run, stopped))

    def _note_ending(self) -> None:
        if self._held is not None and self._held.work.done():
            self._ending = self._ending_of(self._held)
            self._held = None
        if self._ending is not None:
            ending = self._ending
            move(self.holder.record, ending.run.number, HELD, ending.status, ending.why)
            self._ending = None
            level = logging.INFO if ending.status in (Status.FINISHED, Status.STOPPED) else logging.ERROR
            told = f"{ending.status}: {ending.why}" if ending.why else ending.status
            log.log(level, "Run %d, %s: %s", ending.run.number, ending.run.name, told)

    def _ending_of(self, held: _Held) -> _Ending:
        error = held.work.exception()
        if error is None:
            return _Ending(held.run, Status.FINISHED, held.work.result())
        if held.stopped.is_set() and isinstance(error, DermaFedError):
            return _Ending(held.run, Status.STOPPED, "")
        if isinstance(error, DermaFedError):
            return _Ending(held.run, Status.PAUSED, str(error))
        log.error("The run ended by a fault of the program", exc_info=error)
        return _Ending(held.run, Status.FAILED, f"{type(error).__name__}; the server's log says more")


@dataclass
class Admission:
    """Lets enrolled clinics in and revoked ones out.

    Attributes:
        engine: the link to the clinics.
        record: of the federation.
    """

    engine: Engine
    record: Record
    _nodes: dict[str, int | None] = field(default_factory=dict)  # key to node id; None: it was refused

    def apply(self) -> None:
        """Do what changed in the record since the last call; note who is connected.

        Raises:
            StorageError: the record or the engine's state cannot be used now.
        """
        enrolled = {clinic.key: clinic.name for clinic in list_clinics(self.record, revoked=False)}
        self._nodes = {key: node for key, node in self._nodes.items() if key in enrolled}
        before = self.engine.nodes()
        for key in enrolled.keys() - self._nodes.keys():
            self._nodes[key] = self._register(enrolled[key], key)
        wanted = set(self._nodes.values())
        for node in before:
            if node.id not in wanted:
                self.engine.remove(node.id)
                log.info("%s may connect no more", node.clinic)
        note_online(self.record, {node.clinic for node in before if node.online and node.id in wanted})

    def _register(self, clinic: str, key: str) -> int | None:
        try:
            node = self.engine.register(clinic, to_pem(key))
        except SettingsError as error:
            log.error("%s cannot connect: %s", clinic, error)
            return None
        log.info("%s may connect", clinic)
        return node
