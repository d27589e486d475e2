"""From stored preferences to what a run learns from: which of them, as which examples, with which digest.

`preferences: auto` uses all choices so far, unless a preference model of the earlier ones is significantly wrong about
those made since the last run: then wishes have changed, and the run and its gate use only the newer ones and say so.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from storage.errors import Invalid
from storage.pairs import PreferencePair, edited_pairs, preference_pairs
from storage.runs import previous_run
from storage.tables import Split, TrainingRun
from trainer.evaluation.features import Item, features
from trainer.evaluation.preference_model import FOLDS, cross_fit, wishes_changed
from trainer.examples import Demonstration, Pair
from trainer.policy import Policy

MIN_EARLIER = 10  # pairs; a model of fewer has no interval worth asking


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from. `features` [2P, F] of the initial model: P chosen, then P rejected."""

    pairs: list[Pair]
    groups: list[str]
    features: NDArray[np.float64]
    preference_ids: tuple[int, ...]
    first_preference_id: int
    digest: str
    note: str

    @property
    def chosen_features(self) -> NDArray[np.float64]:
        return self.features[: len(self.pairs)]

    @property
    def rejected_features(self) -> NDArray[np.float64]:
        return self.features[len(self.pairs) :]

    @property
    def demonstrations(self) -> list[Demonstration]:
        return [Demonstration(p.prompt, p.chosen, p.preference_id, p.group) for p in self.pairs]


def build_dataset(session: Session, run: TrainingRun, initial: Policy) -> TrainingData:
    """The run's training data, from choices made up to its queueing.

    Pairs whose transcripts diverge before the last turn are left out, and the note says how many.
    """
    stored = [p for p in preference_pairs(session, splits=[Split.train]) if p.newest <= run.last_preference_id]
    usable = [p for p in stored if p.chosen.turns is None and p.rejected.turns is None]
    table = _features(initial, usable)
    kept, first, why = _select(session, run, usable, table)
    limited = str(run.config.get("preferences", "auto")).startswith("last ")
    edits = [] if limited else edited_pairs(session)
    if not kept and not edits:
        raise Invalid(
            f"There is nothing to learn from: {len(stored)} decided pairs of train prompts.",
            hint="Label some comparisons first; ties and skips make no pairs.",
        )
    pairs = [_example(p) for p in (*(usable[i] for i in kept), *edits)]
    chosen, rejected = table[0][kept], table[1][kept]
    if edits:
        edited = _features(initial, edits)
        chosen = np.concatenate([chosen, edited[0]]) if kept else edited[0]
        rejected = np.concatenate([rejected, edited[1]]) if kept else edited[1]
    note = f"{len(pairs)} pairs; {why}"
    if edits:
        note += f", with {len(edits)} edited replies"
    if len(stored) > len(usable):
        note += f"; {len(stored) - len(usable)} that differ before the last turn were left out"
    return TrainingData(
        pairs=pairs,
        groups=[p.group for p in pairs],
        features=np.concatenate([chosen, rejected]),
        preference_ids=tuple(i for index in kept for i in usable[index].preference_ids),
        first_preference_id=first,
        digest=_digest(pairs),
        note=note + ".",
    )


def all_choices(session: Session, initial: Policy) -> TrainingData:
    """Every decided pair so far as data, for comparing checkpoints outside of a run."""
    pairs = [p for p in preference_pairs(session) if p.chosen.turns is None and p.rejected.turns is None]
    examples = [_example(p) for p in pairs]
    chosen, rejected = _features(initial, pairs)
    return TrainingData(
        pairs=examples,
        groups=[p.group for p in examples],
        features=np.concatenate([chosen, rejected]),
        preference_ids=tuple(i for p in pairs for i in p.preference_ids),
        first_preference_id=0,
        digest=_digest(examples),
        note=f"{len(pairs)} pairs; all choices so far.",
    )


def _select(
    session: Session,
    run: TrainingRun,
    pairs: list[PreferencePair],
    table: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[list[int], int, str]:
    """Indices of the pairs to use, the preference id they begin after, and why these."""
    wanted = str(run.config.get("preferences", "auto"))
    everything = list(range(len(pairs)))
    if wanted == "all":
        return everything, 0, "all choices so far, as configured"
    if wanted.startswith("last "):
        kept = everything[-int(wanted.removeprefix("last ")) :]
        return kept, 0, f"the last {len(kept)} decided choices, as configured"
    before = previous_run(session, run)
    if before is None:
        return everything, 0, "all choices so far"
    begin, border = before.first_preference_id, before.last_preference_id
    current = [i for i in everything if pairs[i].newest > begin]
    earlier = [i for i in current if pairs[i].newest <= border]
    newer = [i for i in current if pairs[i].newest > border]
    so_far = "all choices so far" if begin == 0 else "all choices since wishes last changed"
    groups = [pairs[i].group_key for i in earlier]
    if len(earlier) < MIN_EARLIER or len(set(groups)) < FOLDS or not newer:
        return current, begin, so_far
    chosen, rejected = table
    model = cross_fit(chosen[earlier], rejected[earlier], groups)
    check = wishes_changed(model, chosen[newer], rejected[newer])
    if check.changed:
        return newer, border, f"only the newer choices. {check.reason}".rstrip(".")
    return current, begin, so_far


def _features(initial: Policy, pairs: list[PreferencePair]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    items: list[Item] = [(p.messages, p.chosen.text) for p in pairs] + [(p.messages, p.rejected.text) for p in pairs]
    table = features(initial, items)
    return table[: len(pairs)], table[len(pairs) :]


def _example(pair: PreferencePair) -> Pair:
    return Pair(
        prompt=pair.messages,
        chosen=pair.chosen.text,
        rejected=pair.rejected.text,
        preference_id=pair.newest if pair.preference_ids else 0,
        group=pair.group_key,
    )


def _digest(pairs: list[Pair]) -> str:
    lines = (json.dumps([p.prompt, p.chosen, p.rejected], ensure_ascii=True) + "\n" for p in pairs)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
