"""Hard filters: faults that make a completion worth the lowest reward, whatever the terms would say of it.

Repetition and scripts are measured as the guards measure them (trainer/guards.py, trainer/text_measures.py). Free of
torch.
"""

from collections.abc import Sequence

from trainer.guards import is_repetitive
from trainer.prompting import Messages
from trainer.rewards.base import RewardError
from trainer.rewards.configs import HardFilters
from trainer.text_measures import scripts, used_scripts

FILTERS = ("length", "script", "repetition", "missing_end")


def find_faults(
    filters: HardFilters,
    prompts: Sequence[Messages],
    completions: Sequence[str],
    references: Sequence[str | None],
    ended: Sequence[bool] | None,
) -> list[str | None]:
    """The first fault of each completion, by its name in FILTERS, or None.

    ended: whether each completion ended by itself. Raises RewardError where that is asked for and not known.
    """
    if filters.missing_end and ended is None:
        raise RewardError(
            "The filter missing_end needs to know which completions ended by themselves, and was not told.",
            hint="Switch it off, or use an algorithm that samples completions itself.",
        )
    if ended is not None and len(ended) != len(completions):
        raise ValueError(f"there are {len(completions)} completions, and whether they ended is known of {len(ended)}")
    ends = ended if filters.missing_end and ended is not None else [True] * len(completions)
    return [
        _fault(filters, [message["content"] for message in prompt], text, reference or "", end)
        for prompt, text, reference, end in zip(prompts, completions, references, ends, strict=True)
    ]


def _fault(filters: HardFilters, prompt: Sequence[str], text: str, reference: str, ended: bool) -> str | None:
    length = len(text.strip())
    if length < filters.shortest or (filters.longest and length > filters.longest):
        return "length"
    if filters.script and scripts(text) - used_scripts([*prompt, reference]) - set(filters.scripts):
        return "script"
    if filters.repetition and is_repetitive(text):
        return "repetition"
    return None if ended else "missing_end"
