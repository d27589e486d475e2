"""`prefloop serve` as a process of its own: a fresh data directory, a free port of loopback, its default settings but
for those given."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
STOP_S = 60  # it asks a trainer under way to save and stop first
_ADDRESS = re.compile(r"^PrefLoop: (http://\S+)", re.MULTILINE)


class TourStopped(Exception):
    """The tour cannot go on; the message says what was not seen."""


@contextmanager
def served(log: Path, **settings: object) -> Iterator["Served"]:
    """The app, started now; ended by its process id and its data removed at the end. `log` takes what it prints,
    `settings` are those of app/settings.py."""
    # what the person who runs this has set for a project of their own is not measured
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFLOOP_")}
    environment |= {f"PREFLOOP_{name.upper()}": str(value) for name, value in settings.items()}
    folder = tempfile.TemporaryDirectory(prefix="prefloop-tour-", ignore_cleanup_errors=True)
    with folder as data_dir, log.open("wb") as output:
        command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", data_dir]
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            yield Served(process, log, started, Path(data_dir))
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end as Ctrl-C does, which ends its trainer too; kill it where it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Served:
    """The running process; `started` is when the command was given, on time.monotonic's clock."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, started: float, data_dir: Path) -> None:
        self.started = started
        self.data_dir = data_dir
        self.pid = process.pid
        self._process = process
        self._log = log

    def address(self, deadline: float) -> str:
        """The URL it prints. Raises TourStopped when it ends first, or at `deadline` (time.monotonic)."""
        while time.monotonic() < deadline:
            found = _ADDRESS.search(self._log.read_text(errors="replace"))
            if found:
                return found[1]
            self.check()
            time.sleep(0.05)
        raise TourStopped(f"prefloop serve printed no address in time: {self._end_of_log()}")

    def check(self) -> None:
        """Raises TourStopped with the end of its log when the process is gone."""
        if self._process.poll() is not None:
            raise TourStopped(f"prefloop serve ended with status {self._process.returncode}: {self._end_of_log()}")

    def _end_of_log(self) -> str:
        return self._log.read_text(errors="replace")[-1500:].strip() or "it printed nothing"
