"""A federation of many clinics on one machine, and the ``fl-simulate`` command."""

from dermafed.shared.process import stay_offline

stay_offline()
