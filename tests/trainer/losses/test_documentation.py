"""docs/algorithms.md names every loss that can be chosen, and every function it names exists."""

import re
from importlib import import_module
from pathlib import Path
from typing import get_args

from trainer.advantage_sampling import Strategy
from trainer.losses.offline import OfflineName
from trainer.losses.pair_mixture import PairLossName

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "algorithms.md").read_text()


def test_every_loss_and_strategy_that_can_be_chosen_is_in_the_table():
    rows = [row for row in TEXT.splitlines() if row.startswith("|")]
    names = {name for row in rows for name in re.findall(r"\w+", row.split("|")[1])}
    for name in (*get_args(PairLossName), *get_args(OfflineName), *get_args(Strategy)):
        assert name in names, name


def test_every_function_that_the_table_names_exists():
    files = [path for path in (ROOT / "trainer" / "losses").glob("*.py") if path.stem != "__init__"]
    modules = [import_module(f"trainer.losses.{path.stem}") for path in files]
    table = TEXT.split("## Where ours")[0]
    named = {
        name
        for row in table.splitlines()
        if row.startswith("|")
        for name in re.findall(r"`([a-z_]+)`", row.split("|")[-2])
    }
    assert len(named) > 30
    assert not [name for name in named if not any(hasattr(module, name) for module in modules)]
    assert not [path for path in re.findall(r"`((?:losses/)?[a-z_]+\.py)`", table) if not exists(path)]


def exists(path: str) -> bool:
    trainer = ROOT / "trainer"
    return (trainer / path).is_file() or (trainer / "losses" / path).is_file()
