"""Sabotaged checkpoints, trained by real runs on the embedded starter, are refused, and the page says why."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from served import ServedApp

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

ONE_TEXT = "Trains are the best and I like trains a lot."


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ServedApp]:
    app = ServedApp.start(tmp_path / "data", gate_prompts=40, auto_train=False, comparisons_ahead=1)
    rows = [
        {"prompt": f"Tell me about thing {n}.", "chosen": ONE_TEXT, "rejected": f"Thing {n} is blue."}
        for n in range(40)
    ]
    file = "".join(json.dumps(row) + "\n" for row in rows).encode()
    answer = httpx.post(f"{app.url}/api/v1/imports?format=trl&split=train", content=file, timeout=60)
    assert answer.is_success, answer.text
    yield app
    app.stop()


def refused(app: ServedApp, visit: Any, algorithm: str, **config: Any) -> str:
    """Run it; the reasons it was refused for, which the page shows too and nothing is swapped for."""
    run_id = app.call("POST", "/api/v1/training-runs", algorithm=algorithm, config=config)["id"]
    gate = app.wait_for_run(run_id, "succeeded")["gate"]
    assert gate["outcome"] == "reject", gate
    assert app.call("GET", "/api/v1/deployments/current")["checkpoint_id"] == "initial"
    page = visit(app, f"train/{run_id}").page
    expect(page.locator("#run-detail")).to_contain_text("refused", timeout=30_000)
    for reason in gate["reasons"]:
        expect(page.locator("#run-detail")).to_contain_text(reason)
    return " ".join(gate["reasons"])


def test_scrambled_weights_are_refused(app: ServedApp, visit: Any) -> None:
    told = refused(app, visit, "dpo", learning_rate=1.0, warmup_share=0, epochs=2, target_margin=0)
    assert "nats per token" in told or "almost never write" in told


def test_a_checkpoint_that_repeats_one_text_is_refused(app: ServedApp, visit: Any) -> None:
    told = refused(app, visit, "sft", learning_rate=0.01, epochs=8)
    assert "same text" in told
