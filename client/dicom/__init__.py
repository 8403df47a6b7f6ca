"""DICOM objects in, by C-STORE and STOW-RS, and answers sent back."""

from __future__ import annotations

import logging

# What pynetdicom logs names objects and, where a handler fails, what was in them.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
