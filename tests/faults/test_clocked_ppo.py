"""A PPO run that the clock starts: it refits its reward model, is judged, and takes over while a chat streams.

The app's own parts and a real trainer process; only the decoding is slowed down, so that replies last.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from labelled import record_choices, record_prompts
from tiny_model import ASCII, make_tiny_model

from app.main import Application, build_application
from app.settings import Settings
from storage.checkpoints import INITIAL
from storage.tables import FINAL, Outcome, RunStatus
from trainer.decoding import DecodingBatch
from trainer.sampling import Sampling

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

RUN = "ppo-0001"
PATIENCE_S = 1500
STEP_S = 0.1
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
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    model = make_tiny_model(tmp_path / "model", ASCII)  # of all bytes a random one writes scripts nobody has asked for
    settings = Settings(data_dir=tmp_path / "data", model=str(model), device="cpu", gate_prompts=60)
    application = build_application(settings)
    application.bind()
    record_prompts(application.database, train=60, heldout=60)
    record_choices(application.database, count=60, turned=str.upper)
    assert application.promotion.open() == ""
    real = DecodingBatch.step

    def slowly(batch: DecodingBatch) -> Any:
        time.sleep(STEP_S)
        return real(batch)

    monkeypatch.setattr(DecodingBatch, "step", slowly)
    monkeypatch.setattr(application.labelling, "refill", lambda: None)  # the engine is the chat's
    application.scheduler.start()
    yield application
    application.scheduler.stop()
    application.engine.close()
    application.slot.close()
    application.database.close()


@dataclass
class Reply:
    """Who wrote it, how it ended, and what was served when it began and when it ended."""

    by: str
    ended: str
    served: tuple[str | None, str | None]


@dataclass
class Chat:
    """Asks for one reply after the other, in a thread of its own."""

    application: Application
    replies: list[Reply] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def talk(self) -> None:
        slot, question = self.application.slot, [{"role": "user", "content": "Go on."}]
        while not self.over.is_set():
            before = slot.current_id
            ticket = self.application.engine.submit(
                [question], sampling=Sampling(max_new_tokens=80), seeds=[len(self.replies)]
            )
            for _ in ticket:
                pass
            (made,) = ticket.result()
            self.replies.append(Reply(ticket.checkpoint_id, made.finish_reason, (before, slot.current_id)))


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not in {PATIENCE_S} s: {what}"
        time.sleep(0.2)


def test_a_ppo_run_that_the_clock_starts_refits_its_reward_is_judged_and_takes_over_while_a_chat_streams(
    application: Application,
) -> None:
    runs, slot = application.runs, application.slot
    schedule = {"algorithm": "ppo", "config": SETTINGS, "new_preferences": 0, "cron": "* * * * *"}
    runs.set_schedule({**schedule, "after_gate": "automatic"})
    until(lambda: bool(runs.list()), "the clock starts a run")
    runs.set_schedule({"cron": ""})
    assert runs.get(RUN).run.trigger == "cron" and "* * * * *" in runs.get(RUN).run.started_because

    chat = Chat(application)
    talking = threading.Thread(target=chat.talk, daemon=True)
    talking.start()
    until(lambda: runs.get(RUN).run.status in FINAL, "the run ends")
    view = runs.get(RUN)
    assert view.run.status is RunStatus.succeeded, view.run.error
    assert "the reward model orders" in "\n".join(runs.log_lines(RUN, last=1000))
    assert view.decision is not None and view.decision.outcome is Outcome.promote, view.decision
    until(lambda: slot.current_id == RUN, "the checkpoint is served")
    until(lambda: any(reply.by == RUN for reply in chat.replies), "it answers")
    chat.over.set()
    talking.join(timeout=60)

    assert {reply.ended for reply in chat.replies} <= {"stop", "length"}
    names = [reply.by for reply in chat.replies]
    assert names == sorted(names, key=[INITIAL, RUN].index) and set(names) == {INITIAL, RUN}
    assert Reply(INITIAL, "length", (INITIAL, RUN)) in chat.replies or Reply(INITIAL, "stop", (INITIAL, RUN)) in (
        chat.replies
    ), "no reply was being written while the checkpoints changed"
