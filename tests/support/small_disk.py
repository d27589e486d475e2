"""A disk that can be filled up: a small tmpfs where one may be mounted (which takes root), else a limit on what a
process may write, which fails in the same places with another error of the system."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass
class SmallDisk:
    """`fill` leaves no room, for everybody on a tmpfs, for the processes named otherwise; `free` gives it back."""

    folder: Path
    mounted: bool
    limited: list[int] = field(default_factory=list)

    def fill(self, *pids: int) -> None:
        if not self.mounted:
            for pid in pids:
                psutil.Process(pid).rlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            self.limited = [*pids]
            return
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        if self.mounted:
            (self.folder / "filler").unlink()
        for pid in self.limited:
            psutil.Process(pid).rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.limited = []


@contextmanager
def small_disk(folder: Path, *, mib: int) -> Iterator[SmallDisk]:
    """Mounted at `folder` while in use, where that is allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield SmallDisk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
