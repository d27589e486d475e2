"""The ways a model may spell a verdict, as token ids, and their probabilities added up without counting any twice.

Free of torch.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainer.evaluation.judges.base import Said


def spellings(tokenizer: Any, names: Sequence[str]) -> list[tuple[str, list[int]]]:
    """(spelling, its token ids): bare and after a space, as given, in lower case and in upper case.

    A spelling that begins with another one of the same name is left out, because its probability is part of the
    other's. Raises ValueError where a spelling of one name begins with one of another: nothing could tell them apart.
    """
    made: list[tuple[str, list[int]]] = []
    for name in names:
        kept: list[tuple[str, list[int]]] = []
        for text in dict.fromkeys(lead + form for form in (name, name.lower(), name.upper()) for lead in ("", " ")):
            ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
            kept.append((text, ids))
        kept.sort(key=lambda one: len(one[1]))
        own: list[tuple[str, list[int]]] = []
        for text, ids in kept:
            if not any(ids[: len(other)] == other for _, other in own):
                own.append((text, ids))
        made += own
    for text, ids in made:
        for other, begun in made:
            if text.strip().casefold() != other.strip().casefold() and ids[: len(begun)] == begun:
                raise ValueError(f"the tokenizer writes the verdict {text!r} as a longer {other!r}: use other names")
    return made


def total_masses(logprobs: Sequence[tuple[str, float]], names: Mapping[str, Said]) -> Iterator[tuple[Said, float]]:
    """(verdict, probability) of each spelling."""
    folded = {name.casefold(): said for name, said in names.items()}
    for text, logprob in logprobs:
        said = folded.get(text.strip().casefold())
        if said is not None:
            yield said, math.exp(logprob)
