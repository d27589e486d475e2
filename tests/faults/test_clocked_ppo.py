"""A PPO run that the clock starts: it refits its reward model, is judged, and takes over while chats stream."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from labelled import record_choices, record_prompts
from served import ServedApp
from tiny_model import ASCII, make_tiny_model

from storage.database import Database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN = "ppo-0001"
EVERY_MINUTE = "* * * * *"
SETTINGS: dict[str, Any] = {
    "rewards": "preferences",
    "adapter": "full",
    "max_steps": 8,
    "rollouts": 48,
    "batch_size": 24,
    "max_new_tokens": 16,
    "learning_rate": 3e-3,
    "kl": 0.05,
    "missing_end_penalty": 0.3,
    "guards": "watch",
    "filters": '{"script": false, "repetition": false, "shortest": 0}',  # of a random model nothing would be left
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ServedApp]:
    folder = tmp_path / "data"
    model = make_tiny_model(tmp_path / "model", ASCII)  # of all bytes a random one writes scripts nobody has asked for
    app = ServedApp.start(folder, model=model, gate_prompts=60, comparisons_ahead=1, max_new_tokens=150)
    database = Database.in_directory(folder)
    record_prompts(database, train=60, heldout=60)
    record_choices(database, count=60, turned=str.upper)
    yield app
    app.stop()


@dataclass
class Chats:
    """Conversations that stream one after the other; of each reply, the checkpoints its chunks name and its end."""

    url: str
    replies: list[tuple[set[str], str | None]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def talk(self) -> None:
        while not self.ended.is_set():
            self.replies.append(self.one())

    def one(self) -> tuple[set[str], str | None]:
        body = {"model": "served", "messages": [{"role": "user", "content": "Go on."}], "stream": True}
        names, finished = set(), None
        with httpx.stream("POST", f"{self.url}/v1/chat/completions", json=body, timeout=120) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    chunk = json.loads(line.removeprefix("data: "))
                    names.add(chunk["system_fingerprint"])
                    finished = chunk["choices"][0]["finish_reason"] or finished
        return names, finished


def test_a_ppo_run_that_the_clock_starts_refits_its_reward_is_judged_and_takes_over_while_chats_stream(
    app: ServedApp,
) -> None:
    schedule = {"algorithm": "ppo", "config": SETTINGS, "new_preferences": 0, "cron": EVERY_MINUTE}
    app.call("PUT", "/api/v1/schedule", after_gate="automatic", **schedule)
    app.wait_for_run(RUN, "running")
    run = app.call("GET", f"/api/v1/training-runs/{RUN}")
    assert run["trigger"] == "cron" and EVERY_MINUTE in run["started_because"]
    app.call("PUT", "/api/v1/schedule", cron="")

    chats = Chats(app.url)
    talking = [threading.Thread(target=chats.talk, daemon=True) for _ in range(3)]
    for thread in talking:
        thread.start()
    run = app.wait_for_run(RUN, "succeeded")
    assert "the reward model orders" in (app.log.parent / "data" / "runs" / RUN / "log").read_text()
    assert run["gate"]["outcome"] == "promote", run["gate"]
    while app.call("GET", "/api/v1/deployments/current")["checkpoint_id"] != RUN:
        time.sleep(0.1)
    after = len(chats.replies)
    while len(chats.replies) < after + 6:
        assert all(thread.is_alive() for thread in talking)
        time.sleep(0.1)
    chats.ended.set()
    for thread in talking:
        thread.join(timeout=60)
    assert all(len(names) == 1 and finished in ("stop", "length") for names, finished in chats.replies)
    said = [names.copy().pop() for names, _ in chats.replies]
    assert len(set(said)) == 2 and RUN in said[-1] and RUN not in said[0]
