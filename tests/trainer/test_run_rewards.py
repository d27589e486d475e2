"""The rewards of a run: a function of a person's own, where the operator allows it."""

from pathlib import Path

import pytest
from rewarding import PLAIN, asked

from storage.database import Database
from trainer.base_config import AlgorithmConfig
from trainer.rewards.base import RewardError
from trainer.rewards.configs import RewardSettings
from trainer.run_rewards import RunRewards

PATH = "own_rewards_of_a_run:by_length"
SETTINGS = RewardSettings.model_validate(
    PLAIN | {"rewards": [{"kind": "function", "path": PATH}], "z_score": False, "reward_high": 100}
)


class Silent:
    def step(self, step: int, total: int, metrics: dict[str, float]) -> None: ...

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None: ...

    def log(self, line: str) -> None: ...

    def should_stop(self) -> bool:
        return False


def of_a_run(database: Database, folder: Path, *functions: str) -> RunRewards:
    return RunRewards(database, folder, "starter", "cpu", folder / "work", Silent(), frozenset(functions))


def test_a_function_that_the_operator_allows_is_a_reward(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_rewards_of_a_run.py").write_text(
        "def by_length(prompts, completions, references):\n    return [len(text) for text in completions]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rewards = of_a_run(database, tmp_path, PATH).composed(SETTINGS, AlgorithmConfig(), [])
    assert rewards(asked("a", "b"), ["one", "three"], [None, None]) == [3.0, 5.0]


def test_any_other_is_refused_with_the_setting_that_allows_it(database: Database, tmp_path: Path) -> None:
    with pytest.raises(RewardError, match="PREFLOOP_REWARD_FUNCTIONS"):
        of_a_run(database, tmp_path, "another:one").composed(SETTINGS, AlgorithmConfig(), [])
