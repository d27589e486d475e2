"""What algorithms take as a reward. Leaves out rewards themselves."""

from collections.abc import Callable, Sequence

from trainer.prompting import Messages

Reward = Callable[[Sequence[Messages], Sequence[str], Sequence[str | None]], Sequence[float | None]]
"""(prompts, completions, reference texts or None) -> what each completion is worth, or None where it cannot say."""
