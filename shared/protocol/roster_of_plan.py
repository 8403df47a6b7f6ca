"""The roster of a plan with secure sums: the clinics whose keys are part of what each of them approves."""

from __future__ import annotations

from collections.abc import Mapping

from dermafed.shared.errors import InputError, SettingsError
from dermafed.shared.protocol.node_key import to_pem
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.secure_sum.roster import Roster
from dermafed.shared.secure_sum.thresholds import least_cohort


def roster_of(keys: Mapping[str, str]) -> Roster:
    """The roster of clinics with these public keys, OpenSSH on one line.

    Raises:
        InputError: one is not an EC P-384 key, or two clinics have the same.
    """
    return Roster.from_pem({name: to_pem(key) for name, key in keys.items()})


def check_roster(keys: Mapping[str, str], privacy: PrivacySettings, groups: int) -> None:
    """Refuse a roster with which secure sums are impossible; a plan gets its roster when a run is requested.

    Raises:
        SettingsError: there are too few clinics for so many colluders and groups, a key is no key or is there
            twice, or the plan has no secure sums.
    """
    if not keys:
        return
    if not privacy.is_secure:
        raise SettingsError("A roster is for secure aggregation", where="roster", remedy="Leave it out")
    least_cohort(len(keys), privacy.colluders, groups)
    try:
        roster_of(keys)
    except SettingsError:
        raise
    except InputError as error:
        raise SettingsError(error.what, where=f"roster, {error.where}", remedy=error.remedy) from error
