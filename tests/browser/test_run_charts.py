"""What a run's page draws of its own metrics: over-optimisation, and the guards while it trains."""

import math
from typing import Any

import pytest
from playwright.sync_api import expect
from rows import HOSTILE

from storage.tables import Metric, RunStatus, TrainingRun, now
from trainer.configs import parse_config

pytestmark = pytest.mark.browser


def record_hacked(world: Any) -> None:
    """A PPO run that its guards stopped at step 40; the gold reward's name is hostile."""
    reason = "Stopped by its guards at step 40, after 3 looks in a row: 31% of the completions are the same text."
    run = TrainingRun(
        id="ppo-0006",
        number=6,
        algorithm="ppo",
        config=parse_config("ppo", {"rewards": "similarity"}).model_dump(mode="json"),
        status=RunStatus.failed,
        trigger="person",
        started_because="started by a person",
        automatic=False,
        created_at=now(),
        started_at=now(),
        finished_at=now(),
        error=reason,
    )
    with world.application.database.write() as session:
        session.add(run)
        session.flush()
        session.add_all(
            Metric(run_id=run.id, name=name, step=step, value=value)
            for step in range(1, 41)
            for name, value in hacked(step).items()
        )


def hacked(step: int) -> dict[str, float]:
    return {
        "loss": 0.5 / step,
        "objective/kl": step**1.5 / 8,
        "rewards/similarity/mean": 0.4 + 0.4 * (1 - math.exp(-step / 15)) + 0.01 * math.sin(step),
        "rewards/similarity/std": 0.2,
        "gold/right/mean": 0.45 + 0.006 * step - 0.0003 * step**2 + 0.01 * math.cos(step),
        "gold/right/std": 0.5,
        f"gold/{HOSTILE[:12].replace('/', '')}/mean": 0.2 - step / 400,
        "guards/perplexity/used": (step / 33) ** 2,
        "guards/same_text/used": (step / 36) ** 4,
        "guards/kl/used": step / 60,
        "guards/length/used": 0.2,
    }


def test_a_run_that_was_stopped_shows_why_in_words_and_in_both_charts(lived: Any, visit: Any) -> None:
    record_hacked(lived)
    watched = visit(lived, "train/ppo-0006", width=390, height=844)
    page = watched.page
    expect(page.locator("#run-detail-text")).to_contain_text("Stopped by its guards at step 40")
    expect(page.locator("#reward-told")).to_contain_text("Similarity went from 0.434 to 0.78;")
    expect(page.locator("#reward-charts .scatterlayer .js-line")).to_have_count(6)
    expect(page.locator("#guards-told")).to_contain_text("Beyond the limit: same text, perplexity.")
    expect(page.locator("#guards-chart .scatterlayer .js-line")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not watched.dialogs


def test_runs_without_rewards_have_neither(lived: Any, visit: Any) -> None:
    page = visit(lived, "train/dpo-0002").page
    expect(page.locator("#run-detail-text")).to_contain_text("Gate: refused")
    expect(page.locator("#reward-told")).to_have_text("")
    expect(page.locator("#guards-chart .js-line")).to_have_count(0)
