"""A DICOM sender: pynetdicom's."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]


@dataclass
class Sender:
    """Sends to a port of this machine, an association each time. What goes wrong is a ConnectionError."""

    port: int

    def echo(self) -> int:
        with self.associated() as association:
            return _status(association.send_c_echo())

    def store(
        self,
        dataset: FileDataset,
        announced: str | None = None,
        calling: str = "CAMERA",
        called: str = "DERMAFED",
        ca: Path | None = None,
    ) -> int:
        """The status that an object is answered with."""
        with self.associated([_context(dataset)], calling, called, ca) as association:
            if announced is not None:
                dataset = _renamed(dataset, announced)
            return _status(association.send_c_store(dataset))

    def send(self, dataset: FileDataset) -> Dataset:
        """The whole answer."""
        with self.associated([_context(dataset)]) as association:
            return association.send_c_store(dataset)

    def store_all(self, datasets: Sequence[FileDataset]) -> list[int]:
        with self.associated([_context(datasets[0])]) as association:
            return [_status(association.send_c_store(each)) for each in datasets]

    def agrees_on(self, sop_class: str, syntax: str | None) -> bool:
        contexts = [build_context(sop_class, syntax), build_context(Verification)]
        with self.associated(contexts) as association:
            return any(each.abstract_syntax == sop_class for each in association.accepted_contexts)

    @contextmanager
    def associated(
        self,
        contexts: Sequence[PresentationContext] = (),
        calling: str = "CAMERA",
        called: str = "DERMAFED",
        ca: Path | None = None,
    ) -> Iterator[Association]:
        ae = AE(calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 300
        tls = None if ca is None else (ssl.create_default_context(cafile=ca), "127.0.0.1")
        chosen = list(contexts) or [build_context(Verification)]
        association = ae.associate("127.0.0.1", self.port, chosen, ae_title=called, tls_args=tls)
        if not association.is_established:
            raise ConnectionError("rejected" if association.is_rejected else "no association")
        try:
            yield association
        finally:
            association.release()


def _context(dataset: FileDataset) -> PresentationContext:
    syntax = dataset.file_meta.TransferSyntaxUID
    plain = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    return build_context(dataset.SOPClassUID, plain if syntax in plain else [syntax])


def _renamed(dataset: FileDataset, instance: str) -> FileDataset:
    """An object whose request names another instance than its data set."""

    class Renamed(FileDataset):
        @property
        def SOPInstanceUID(self) -> str:
            return instance

    dataset.__class__ = Renamed
    return dataset


def _status(answer: Dataset) -> int:
    if "Status" not in answer:
        raise ConnectionError("no answer")
    return int(answer.Status)
