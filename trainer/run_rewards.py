"""The rewards of a run, made ready before it trains: opened, or fitted to its choices first.

Leaves out rewards themselves (`trainer/rewards`) and the fit of a reward model (`trainer/algorithms/reward_model.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from storage.checkpoints import get_checkpoint
from storage.database import Database
from storage.errors import Invalid
from storage.tables import CheckpointKind
from trainer.algorithms import train
from trainer.base_config import AlgorithmConfig
from trainer.configs import parse_config
from trainer.examples import Pair
from trainer.offline_fields import PREFERENCES
from trainer.reporter import Reporter
from trainer.rewards.base import Reward, RewardSources
from trainer.rewards.composition import Composition
from trainer.rewards.configs import GoldSettings, RewardSettings
from trainer.rewards.gold import Gold
from trainer.rewards.opening import open_rewards, open_term
from trainer.rewards.terms import AnyTerm, Preferences, RewardModel

FITTING = "fitting the reward model"


@dataclass(frozen=True)
class RunRewards:
    """Where a run's rewards come from. `work` is where it keeps what a resumed attempt is to find again; `functions`
    are the import paths of people's own rewards that the operator allows."""

    database: Database
    data_dir: Path
    model_source: str
    device: str
    work: Path
    reporter: Reporter
    functions: frozenset[str] = frozenset()

    def named(self, name: str, *, max_length: int) -> Reward | None:
        """The reward model of that id, its score between 0 and 1; None where choices are the reward.

        Raises NotFound, Invalid, RewardError.
        """
        if name == PREFERENCES:
            return None
        with self.database.read() as session:
            checkpoint = get_checkpoint(session, name)
        if checkpoint.kind is not CheckpointKind.reward_model:
            raise Invalid(
                f"{name} cannot be the reward: it is a checkpoint of kind {checkpoint.kind}.",
                hint="`prefloop train reward_model` makes a reward model; name that.",
            )
        term = RewardModel.model_validate({"checkpoint": name, "form": "sigmoid", "max_length": max_length})
        return open_term(term, self._sources([]))

    def composed(self, settings: RewardSettings, config: AlgorithmConfig, pairs: Sequence[Pair]) -> Composition:
        """The composition of `settings`; with preferences among them, a reward model is fitted to `pairs` first.

        Raises RewardError, and what the fit raises. A resumed run finds the reward model that it began with.
        """
        return open_rewards(settings, self._ready(settings.rewards, config, pairs))

    def gold(self, settings: GoldSettings, config: AlgorithmConfig, pairs: Sequence[Pair]) -> Gold | None:
        """What is only measured, by name; None where nothing is. Raises like `composed`."""
        if not settings.gold:
            return None
        sources = self._ready(settings.gold, config, pairs)
        return Gold({term.title: open_term(term, sources) for term in settings.gold})

    def _ready(self, terms: Sequence[AnyTerm], config: AlgorithmConfig, pairs: Sequence[Pair]) -> RewardSources:
        sources = self._sources(pairs)
        if any(isinstance(term, Preferences) for term in terms):
            sources = replace(sources, preferences=self._fitted(config, pairs))
        return sources

    def _sources(self, pairs: Sequence[Pair]) -> RewardSources:
        return RewardSources(
            device=self.device,
            checkpoints=self.data_dir / "checkpoints",
            base=self.model_source,
            texts=[text for pair in pairs for text in (pair.chosen, pair.rejected)],
            functions=self.functions,
        )

    def _fitted(self, config: AlgorithmConfig, pairs: Sequence[Pair]) -> Path:
        folder = self.work / "reward"
        self.reporter.stage(FITTING)
        result = train(
            "reward_model",
            config=parse_config("reward_model", {"seed": config.seed, "threads": config.threads, "normalise": 0}),
            examples=pairs,
            policy_source=self.model_source,
            output=folder / "model",
            work=folder / "work",
            reporter=_Stage(self.reporter),
            device=self.device,
        )
        if "validation/accuracy" in result.metrics:
            right, n = result.metrics["validation/accuracy"], result.metrics["validation/pairs"]
            self.reporter.log(f"the reward model orders {right:.0%} of {n:.0f} held-out pairs as people did")
        return folder / "model"


class _Stage:
    """A reporter for the fit: its steps are a stage of the run, its metrics are not the run's."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def step(self, step: int, total: int, metrics: dict[str, float]) -> None:
        self._reporter.stage(FITTING, step, total)

    def stage(self, stage: str, step: int = 0, total: int = 0) -> None:
        self._reporter.stage(FITTING, step, total)

    def log(self, line: str) -> None:
        self._reporter.log(f"reward model: {line}")

    def should_stop(self) -> bool:
        return self._reporter.should_stop()
