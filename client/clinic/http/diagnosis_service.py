"""What the page and the API do alike: an image in, a diagnosis and its pictures out, an opinion kept."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.http.metrics import Figures
from dermafed.client.clinic.http.pictures import heat_png, overlay_png, shown_jpeg
from dermafed.client.clinic.http.schema import OpinionGiven
from dermafed.client.clinic.http.thread_pool import Work
from dermafed.client.clinic.http.tokens import Caller
from dermafed.client.clinic.http.upload import read_parts, split_parts
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import Store
from dermafed.shared.imaging.preprocess_settings import Fit


@dataclass(frozen=True)
class Desk:
    """The model, the store, and the threads that work with them."""

    service: DiagnosticService
    store: Store
    work: Work
    figures: Figures

    async def diagnose(self, request: Request, caller: Caller) -> Diagnosis:
        """The diagnosis of a request's image, kept; it waits its turn from its first byte on.

        Raises:
            Refused: it gets none.
        """
        with self.work.place():
            parts = await read_parts(request)
            said = await self.work.run(self._diagnose, parts, caller)
        self.figures.diagnoses.inc()
        return said

    def find(self, id: str, caller: Caller) -> Diagnosis:
        """A diagnosis that the caller may see.

        Raises:
            Refused: there is none, or it is another device's (404).
        """
        found = self.store.get(id)
        if caller.role == "device" and found.device != caller.name:
            raise Refused("unknown", "There is no such diagnosis", remedy="Check its id")
        return found

    def look(self, id: str, caller: Caller) -> Diagnosis:
        """The same, and a clinician's look at it is recorded."""
        found = self.find(id, caller)
        if caller.role == "clinician":
            self.store.looked(id, caller.name)
        return found

    def overlay(self, id: str, target: str | None, against: str | None) -> bytes:
        """A heatmap on what the network saw, PNG; see :meth:`DiagnosticService.heatmap`."""
        self._check_classes(target, against)
        return overlay_png(self.store.prepared(id), self.service.heatmap(id, target, against).heatmap)

    def heat(self, id: str, target: str | None, against: str | None) -> bytes:
        """A heatmap as a layer over :meth:`shown`, PNG."""
        self._check_classes(target, against)
        height, width = self.store.image(id).shape[:2]
        return heat_png(self.service.heatmap(id, target, against).heatmap, height, width, self._fit)

    def shown(self, id: str) -> bytes:
        """The image for a screen, JPEG; raises Refused (404, 410)."""
        return shown_jpeg(self.store.image(id), self._fit)

    def say(self, id: str, caller: Caller, given: OpinionGiven) -> Opinion:
        """A clinician's opinion, as it is kept.

        Raises:
            Refused: it cannot be kept (400), or there is no such diagnosis (404).
        """
        return self.store.say(id, Opinion(who=caller.name, **given.model_dump()))

    @property
    def classes(self) -> tuple[str, ...]:
        """The model's classes."""
        return self.service.diagnoser.classes

    @property
    def _fit(self) -> Fit:
        return self.service.diagnoser.model.card.preprocess.fit

    def _diagnose(self, parts: dict[str, bytes], caller: Caller) -> Diagnosis:
        data, clinical, request = split_parts(parts)
        received = receive(data, clinical, device=caller.name, quarantine=self.store.quarantine)
        return self.service.diagnose(received, caller.name, request)

    def _check_classes(self, *names: str | None) -> None:
        if set(names) - {None, *self.classes}:
            raise Refused(
                "class-unknown", "There is no such class", remedy=f"Use one of {', '.join(self.classes)}"
            )
