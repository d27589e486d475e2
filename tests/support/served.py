"""The real app as a process of its own, on a free port of loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PATIENCE_S = 180


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class ServedApp:
    """`prefloop serve` on a data directory."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @classmethod
    def start(cls, data_dir: Path, *, model: Path | None = None, **settings: Any) -> "ServedApp":
        port = free_port()
        environment = os.environ | {
            "PREFLOOP_DATA_DIR": str(data_dir),
            "PREFLOOP_PORT": str(port),
            **({"PREFLOOP_MODEL": str(model)} if model else {}),
            **{f"PREFLOOP_{name.upper()}": str(value) for name, value in settings.items()},
        }
        log = data_dir.parent / f"serve-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve"], env=environment, stdout=output, stderr=output
            )
        app = cls(process, f"http://127.0.0.1:{port}", log)
        app.wait_until_ready()
        return app

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"not ready in {PATIENCE_S} s:\n{self.log.read_text()}")

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = httpx.request(method, self.url + path, json=body or None, timeout=PATIENCE_S)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def wait_for_run(self, run_id: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            run = self.call("GET", f"/api/v1/training-runs/{run_id}")
            if run["status"] in states:
                return dict(run)
            assert run["status"] not in ("failed", "cancelled"), run
            time.sleep(0.2)
        raise AssertionError(f"{run_id} did not become {states}: {run}\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=60)
