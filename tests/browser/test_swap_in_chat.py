"""A swap while a reply streams in the browser: the running reply ends on the old checkpoint, the next says the new."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import uvicorn
from playwright.sync_api import expect
from served import free_port

from app.main import Application, create_app
from app.settings import Settings
from storage.checkpoints import record_checkpoint
from storage.tables import Checkpoint, CheckpointKind
from trainer.adapters import attach_adapter
from trainer.decoding import DecodingBatch
from trainer.policy import load_policy, save_checkpoint

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NEW = "dpo-0001"
STEP_S = 0.1


@dataclass
class Running:
    application: Application
    url: str


def make_checkpoint(application: Application, model: Path) -> None:
    """A checkpoint whose adapter is random, so that it writes something else."""
    policy = load_policy(model, device="cpu")
    torch.manual_seed(1)
    adapted = attach_adapter(policy.model, kind="lora", rank=4, alpha=8)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    folder = application.settings.data_dir / "checkpoints" / NEW
    folder.parent.mkdir()
    digest = save_checkpoint(
        folder,
        model=adapted,
        tokenizer=policy.tokenizer,
        kind="adapter",
        base=str(model),
        base_digest=policy.digest,
    )
    row = Checkpoint(
        id=NEW, name=NEW, kind=CheckpointKind.adapter, source=f"checkpoints/{NEW}", digest=digest, base_id="initial"
    )
    with application.database.write() as session:
        record_checkpoint(session, checkpoint=row, preference_ids=[])


@pytest.fixture
def running(tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    real = DecodingBatch.step

    def slowly(batch: DecodingBatch) -> Any:
        time.sleep(STEP_S)
        return real(batch)

    port = free_port()
    settings = Settings(
        data_dir=tmp_path / "data", model=str(tiny_model_dir), port=port, comparisons_ahead=1, max_new_tokens=60
    )
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    application: Application = app.state.application
    while not application.ready:
        assert thread.is_alive() and not application.failure, application.failure
        time.sleep(0.1)
    make_checkpoint(application, tiny_model_dir)
    application.scheduler._clock.pause()  # no refill: the engine is the chat's
    monkeypatch.setattr(DecodingBatch, "step", slowly)
    yield Running(application, f"http://127.0.0.1:{port}")
    monkeypatch.undo()
    server.should_exit = True
    thread.join(timeout=30)


def test_a_swap_in_mid_reply_leaves_that_reply_to_the_old_checkpoint(running: Running, visit: Any) -> None:
    page = visit(running, "chat").page
    page.wait_for_selector("#chat-view .state")
    page.get_by_label("Message").fill("Go on for long.")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-live .text")).not_to_be_empty()
    running.application.promotion.promote(NEW, by="test")
    assert running.application.slot.current_id == NEW
    assert running.application.slot.leases("initial") >= 1, "the reply ended before the swap"
    expect(page.locator("#chat-view .turn.assistant .by")).to_have_text(["tiny-model0"], timeout=30_000)
    page.wait_for_selector("body:not(.is-replying)")
    page.get_by_label("Message").fill("And now?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-view .turn.assistant .by")).to_have_text(["tiny-model0", NEW], timeout=30_000)
    expect(page.locator(".takeover")).to_have_text(f"{NEW} took over")
