"""What `train` of a run's algorithm is given besides its sources: examples, rewards, and what it only looks at.

Leaves out reading the choices (`trainer/dataset.py`) and what an algorithm makes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.database import Database
from storage.tables import TrainingRun
from trainer.algorithms.validation import NOTHING, Unseen
from trainer.base_config import AlgorithmConfig
from trainer.configs import OfflineConfig, SFTConfig
from trainer.dataset import (
    TrainingData,
    demonstrations_of,
    train_questions,
    validation_pairs,
    validation_questions,
)
from trainer.kto_config import KTOConfig
from trainer.offline_fields import Worth
from trainer.online_fields import Online
from trainer.pair_config import PairConfig
from trainer.ppo_config import PPOConfig
from trainer.ratings import sides_of
from trainer.run_rewards import RunRewards
from trainer.stored_references import StoredReferences
from trainer.validation_fields import LOSS, Looks, Validated


@dataclass(frozen=True)
class RunArguments:
    """Of one run; `made` has them by name."""

    database: Database
    run: TrainingRun
    data: TrainingData
    rewards: RunRewards

    def made(self, config: AlgorithmConfig) -> dict[str, Any]:
        """What the algorithm of `config` takes of it. Raises what opening a reward raises."""
        given: dict[str, Any] = {"examples": self._examples(config)}
        if isinstance(config, PairConfig | OfflineConfig | KTOConfig):
            given["reference_store"] = StoredReferences(self.database)
        if isinstance(config, Online):
            given["reward"] = self.rewards.composed(config, config, self.data.pairs)
            given["gold"] = self.rewards.gold(config, config, self.data.pairs)
        elif isinstance(config, Worth):
            given["reward"] = self.rewards.named(config.reward, max_length=config.max_length)
        if isinstance(config, PPOConfig):
            given["demonstrations"] = self.data.demonstrations
        if isinstance(config, Looks):
            given["unseen"] = self._unseen(config)
        return given

    def _examples(self, config: AlgorithmConfig) -> Sequence[Any]:
        if isinstance(config, Online):
            return train_questions(self.database)
        if isinstance(config, SFTConfig):
            return self.data.demonstrations
        return self.data.rated if isinstance(config, KTOConfig) else [*self.data.pairs, *self.data.ties]

    def _unseen(self, config: Looks) -> Unseen:
        """Pairs of validation prompts as the run's own examples are; the reward that it is judged by, and prompts."""
        if isinstance(config, Online):
            return Unseen(questions=validation_questions(self.database)) if config.validate_every else NOTHING
        examples: Sequence[Any] = validation_pairs(self.database, self.run)
        if isinstance(config, SFTConfig):
            examples = demonstrations_of(examples)
        if isinstance(config, KTOConfig):
            examples = sides_of(examples)
        if not isinstance(config, Validated) or config.validate_by == LOSS:
            return Unseen(examples)
        judge = self.rewards.named(config.validate_by, max_length=config.max_length)
        return Unseen(examples, validation_questions(self.database), judge)
