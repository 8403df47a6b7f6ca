"""``fl-client restore`` and ``expire``: a backup in place of the store, and the end of what is too old."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from dermafed.client.commands.options import HERE, Folder, open_home, open_store, print_lines
from dermafed.console import stderr


def restore(
    backup: Annotated[Path, typer.Argument(show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(
            help="The key's file.  [default: that of the backup, or of this store]", show_default=False
        ),
    ] = None,
    folder: Folder = HERE,
) -> None:
    """Put a backup in the place of the store of diagnoses; the store that was here stays beside it.

    BACKUP is a folder with store.sqlite and files. Images that it lacks are taken from the present store;
    what was forgotten since is forgotten again. Stop fl-client serve first.

    **Examples**

        fl-client restore backup/store

        fl-client restore backup/store --key safe/store.key --dir /srv/dermafed
    """
    from dermafed.client.clinic.store.restore import restore_store

    done = restore_store(open_home(folder), backup, key)
    print_lines(f"Restored {done.diagnoses} diagnoses.")
    if done.forgotten:
        print_lines(f"{done.forgotten} that were forgotten since the backup are forgotten again.")
    if done.missing:
        print_lines(f"{done.missing} of their files are neither in the backup nor here.")
    if done.before is not None:
        print_lines(f"The store that was here is now {done.before}; remove it once all is well.")


def expire(
    folder: Folder = HERE,
    clock_is_right: Annotated[
        bool,
        typer.Option("--clock-is-right", help="Confirm this machine's clock, however long the store slept."),
    ] = False,
) -> None:
    """Remove now what is older than retention_days, as the node does daily.

    It stops where the clock is more than 45 days past the last time that the store was in use: a wrong clock
    would remove everything.

    **Examples**

        fl-client expire

        fl-client expire --clock-is-right
    """
    from dermafed.client.clinic.http.serve_settings import read_serve_settings

    days = read_serve_settings(open_home(folder).settings_file).retention_days
    with open_store(folder) as store:
        count = store.expire(datetime.now(UTC), days=days, confirmed=clock_is_right)
    stderr().print(f"{count} have expired.")
