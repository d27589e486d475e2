"""From a raw reply to a verdict: marked text, JSON, a closed choice, log-probabilities, rankings.

Nothing is guessed. A reply that holds no verdict, or two different ones, is invalid and says why; a verdict that is
quoted inside a sentence is no verdict. Log-probabilities of all spellings of a verdict are added up; what lies on other
tokens is recorded, and below MIN_MASS the reply is invalid. Leaves out asking, and whose text was first.
"""

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.evaluation.judges.base import Reading, Said, invalid, reading_of

PARSER = 1  # raised with every change of meaning; stored replies are read anew

MIN_MASS = 0.5
DOUBTFUL_MASS = 0.9

NAMES: dict[str, Said] = {"A": Said.first, "B": Said.second, "tie": Said.tie}
"""What the texts and a tie are called in front of a judge."""

# the mark on a line of its own; a word such as "Verdict:" and bold type may stand around it
_MARKED = re.compile(r"^[*_\s]*(?:(?:final\s+)?verdict\s*:?[*_\s]*)?\[\[([^\[\]\n]{1,12})\]\][*_\s.]*$", re.IGNORECASE)
_BLOCK = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?```\s*\Z", re.DOTALL | re.IGNORECASE)


def parse_marked(text: str, names: Mapping[str, Said] = NAMES) -> Reading:
    """The last verdict marked as [[A]] on a line of its own. Two different marked verdicts are invalid."""
    known = _folded(names)
    found = [match[1].strip().casefold() for line in text.splitlines() if (match := _MARKED.match(line))]
    if not found:
        return invalid("no marked verdict stands on a line of its own")
    if unknown := [mark for mark in found if mark not in known]:
        return invalid(f"[[{unknown[-1]}]] is none of {_listed(names)}")
    said = {known[mark] for mark in found}
    if len(said) > 1:
        return invalid(f"{len(said)} different verdicts are marked")
    return reading_of(known[found[-1]])


def parse_json(text: str, names: Mapping[str, Said] = NAMES) -> Reading:
    """The "verdict" of a JSON object, which must be the whole reply (a code block around it is allowed)."""
    block = _BLOCK.match(text)
    try:
        value = json.loads(block[1] if block else text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return invalid(f"not one JSON object: {_short(error)}")
    if not isinstance(value, dict) or not isinstance(value.get("verdict"), str):
        return invalid('the JSON has no text named "verdict"')
    return parse_choice(value["verdict"], names)


def parse_choice(text: str, names: Mapping[str, Said] = NAMES) -> Reading:
    """A reply that is one of the names and nothing else; marks, quotes and a full stop around it are allowed."""
    said = _folded(names).get(_bare(text))
    return invalid(f"{_short(text)!r} is none of {_listed(names)}") if said is None else reading_of(said)


def parse_logprobs(top: Sequence[tuple[str, float]], names: Mapping[str, Said] = NAMES) -> Reading:
    """The verdict from (token, log-probability) pairs of the place where it is written; a missing token counts 0.

    The score is P(first) + P(tie) / 2, over what the verdicts have together. A token counts for a name if it spells it
    (case ignored where no two names differ by it) or begins it and no other. Source of the rule without ties and
    spellings: AlpacaEval 2.
    """
    mass = dict.fromkeys(names.values(), 0.0)
    for token, logprob in top:
        if (not math.isfinite(logprob) and logprob != -math.inf) or logprob > 1e-3:
            return invalid(f"{logprob} is no log-probability")
        said = _spelt(token, names)
        if said is not None:
            mass[said] += math.exp(min(logprob, 0.0))
    return parse_masses(mass)


def parse_masses(mass: Mapping[Said, float]) -> Reading:
    """The reading of probabilities that each verdict has. Invalid where they have less than MIN_MASS together."""
    total = math.fsum(mass.values())
    if not total >= MIN_MASS:  # NaN too
        return invalid(f"only {total:.3f} of the probability lies on a verdict", total)
    score = (mass.get(Said.first, 0.0) + mass.get(Said.tie, 0.0) / 2) / total
    # equal probabilities of both texts are a tie, not a win of whichever is listed first
    said = max(mass, key=lambda one: (mass[one], one is Said.tie))
    if said is not Said.tie and mass.get(Said.first) == mass.get(Said.second):
        said = Said.tie
    note = f"only {total:.3f} of the probability lies on a verdict" if total < DOUBTFUL_MASS else ""
    return Reading(said, score, min(total, 1.0), note)


def parse_ranking(text: str, first: str, second: str) -> Reading:
    """A list of {"model", "rank"}, bare or as "ordered_models" of an object (AlpacaEval's replies).

    Both names once and the ranks 1 and 2, else invalid. Python's quotes are understood, nothing is evaluated.
    """
    rows = _literal(text)
    rows = rows.get("ordered_models") if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return invalid("not a list of ranked models")
    ranks = [(row.get("model"), row.get("rank")) for row in rows]
    if len(ranks) != 2 or {name for name, _ in ranks} != {first, second}:
        return invalid(f"not the two models {first!r} and {second!r}, each once")
    if sorted(str(rank) for _, rank in ranks) != ["1", "2"]:
        return invalid(f"the ranks are {[rank for _, rank in ranks]}, not 1 and 2")
    return reading_of(Said.first if str(dict(ranks)[first]) == "1" else Said.second)


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses an object that says the same name twice: the first could be the quoted one."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _folded(names: Mapping[str, Said]) -> dict[str, Said]:
    return {name.casefold(): said for name, said in names.items()}


def _bare(text: str) -> str:
    return text.strip().strip("[]\"'`*.").strip().casefold()


def _spelt(token: str, names: Mapping[str, Said]) -> Said | None:
    bare = token.strip(" \t\r\n\u0120\u2581[]\"'`*")  # with the word marks of byte-level and sentence tokenizers
    if len(_folded(names)) == len(names):
        bare, names = bare.casefold(), _folded(names)
    if bare in names:
        return names[bare]
    begun = [said for name, said in names.items() if bare and name.startswith(bare)]
    return begun[0] if len(begun) == 1 else None


def _listed(names: Mapping[str, Said]) -> str:
    return ", ".join(names)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
