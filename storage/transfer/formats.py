"""The formats, by the names people give. A new one is a file with `parse` and `render`, and a line here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from storage.errors import Invalid
from storage.transfer import hh_rlhf, prompts, trl
from storage.transfer.rows import PairRow, PromptRow


@dataclass(frozen=True)
class Format:
    """`parse` reads a JSON object or raises BadRow; `render` is its inverse; `undecided`: it can tell ties."""

    name: str
    title: str
    parse: Callable[[dict[str, Any]], PairRow | PromptRow]
    render: Callable[[Any], dict[str, Any]]
    undecided: bool = False


FORMATS: Mapping[str, Format] = {
    f.name: f
    for f in (
        Format("trl", "TRL preferences: prompt, chosen, rejected", trl.parse, trl.render, undecided=True),
        Format("hh-rlhf", "Anthropic transcripts: chosen, rejected", hh_rlhf.parse, hh_rlhf.render),
        Format("prompts", "Prompts: messages, split, tags, reference, group", prompts.parse, prompts.render),
    )
}


def get_format(name: str, *, of: Iterable[str] = FORMATS) -> Format:
    """Raises Invalid naming those there are (`of`)."""
    if name not in FORMATS:
        raise Invalid(f"There is no format {name!r}.", hint=f"Use one of {', '.join(of)}.")
    return FORMATS[name]
