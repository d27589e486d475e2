"""A person's own reward: one Python function, named by its import path, with the signature of all rewards.

Importing runs its code, so the operator lists the paths that may be named; a form alone can run nothing.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from trainer.prompting import Messages
from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources, checked_scores

HINT = "It must be a function of (prompts, completions, references) that the trainer can import; see docs/rewards.md."


class Function:
    """Calls `function` and holds it to the signature. Raises RewardError naming its path."""

    def __init__(self, path: str, function: Any) -> None:
        self._path, self._function = path, function

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        try:
            values = self._function(list(prompts), list(completions), list(references))
        except Exception as error:  # code of others, which may fail in any way
            raise RewardError(
                f"The reward function {self._path} failed: {type(error).__name__}: {error}.",
                hint="The run's log has where; mend the function and start the run again.",
            ) from error
        return checked_scores(self._path, values, len(completions))


def open_reward(term: terms.Function, sources: RewardSources) -> Function:
    if term.path not in sources.functions:
        allowed = ", ".join(sorted(sources.functions)) or "none"
        raise RewardError(
            f"The reward function {term.path} is not allowed here; allowed: {allowed}.",
            hint="Whoever runs PrefLoop must name it in PREFLOOP_REWARD_FUNCTIONS, since its code will be run.",
        )
    module, _, name = term.path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # the module's own code runs here
        raise RewardError(
            f"The reward function {term.path} cannot be loaded: {type(error).__name__}: {error}.", hint=HINT
        ) from error
    if not callable(found):
        raise RewardError(f"{term.path} is of type {type(found).__name__}, not a function.", hint=HINT)
    return Function(term.path, found)
