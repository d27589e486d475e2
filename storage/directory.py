"""Who has a data directory to themselves: the app that serves it, or a restore that fills it."""

import fcntl
from pathlib import Path
from typing import IO

from storage.errors import Conflict

LOCK = ".lock"


def take_directory(data_dir: Path) -> IO[bytes]:
    """The directory's lock, held while the file is open. Raises Conflict where another process holds it.

    The system lets go of it when the process ends, however it ends; the file stays.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    file = (data_dir / LOCK).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise Conflict(
            f"Another app serves {data_dir} already, or it is being restored.",
            hint="Use that one, end it, or give another folder with --data-dir.",
        ) from error
    return file
