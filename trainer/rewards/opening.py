"""Rewards made ready to score: the file of each kind, by name, and everything opened before a run begins."""

from importlib import import_module
from types import MappingProxyType

from trainer.rewards.base import Reward, RewardError, RewardSources
from trainer.rewards.composition import Composition
from trainer.rewards.configs import RewardSettings
from trainer.rewards.terms import Term

FILES = MappingProxyType(
    {
        "similarity": "similarity",
        "bleu": "overlap",
        "rouge": "overlap",
        "exact_match": "overlap",
        "preferences": "reward_model",
        "reward_model": "reward_model",
        "classifier": "classifier",
        "judge": "judge",
        "length": "rules",
        "match": "rules",
        "script": "rules",
        "json": "rules",
        "rule": "rules",
        "in_context": "in_context",
        "diversity": "diversity",
        "function": "function",
    }
)
"""Kind -> its file beside this one, whose `open_reward(term, sources)` makes it. Only those in use are imported."""


def open_rewards(settings: RewardSettings, sources: RewardSources = RewardSources()) -> Composition:
    """The composition of `settings`, with its models loaded. Close it when done.

    Raises RewardError for the first term that cannot be opened, before any is asked for a score.
    """
    return Composition(settings, [open_term(term, sources) for term in settings.rewards])


def open_term(term: Term, sources: RewardSources = RewardSources()) -> Reward:
    """One reward by itself. Raises RewardError saying which and why."""
    try:
        opened: Reward = import_module(f"trainer.rewards.{FILES[term.kind]}").open_reward(term, sources)
    except RewardError:
        raise
    except (ImportError, OSError, ValueError) as error:
        raise RewardError(
            f"The reward {term.title} cannot be opened: {error}.",
            hint=f"Its options are under {term.kind} in docs/rewards.md.",
        ) from error
    return opened
