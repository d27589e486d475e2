"""From stored preferences to what a run learns from: which of them, as which examples, with which digest.

`preferences: auto` uses all choices so far, unless a preference model of the earlier ones is significantly wrong about
those made since the last run: then wishes have changed, and the run and its gate use only the newer ones and say so.
KTO learns from completions rated by themselves too (`trainer/ratings.py`), and needs no pairs.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from storage.database import Database
from storage.errors import Invalid
from storage.pairs import PreferencePair, edited_pairs, preference_pairs, tied_pairs
from storage.prompts import offered_prompts
from storage.runs import began_with, previous_run
from storage.tables import Split, TrainingRun
from trainer.evaluation.features import Item, features
from trainer.evaluation.preference_model import FOLDS, cross_fit, wishes_changed
from trainer.examples import Demonstration, Pair, Question, Ranking, Rated
from trainer.policy import Policy
from trainer.ratings import Ratings, ratings_of, sides_of

MIN_EARLIER = 10  # pairs; a model of fewer has no interval worth asking


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from. `features` [2, P, F] of the initial model: those of the chosen, then of the rejected.

    `ties` are there where the run's config asks for them, `ratings` (completions rated by themselves) in runs of KTO.
    """

    pairs: list[Pair]
    features: NDArray[np.float64]
    preference_ids: tuple[int, ...]
    first_preference_id: int
    digest: str
    note: str
    ties: tuple[Ranking, ...] = ()
    ratings: tuple[Rated, ...] = ()

    @property
    def groups(self) -> list[str]:
        return [pair.group for pair in self.pairs]

    @property
    def demonstrations(self) -> list[Demonstration]:
        return demonstrations_of(self.pairs)

    @property
    def rated(self) -> list[Rated]:
        """Every completion as good or bad: the chosen, the rejected, and those rated by themselves."""
        return [*sides_of(self.pairs), *self.ratings]


def build_dataset(
    database: Database,
    run: TrainingRun,
    initial: Policy,
    *,
    needed: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingData:
    """The run's training data, from choices made up to its queueing and replies edited up to its first start.

    So every attempt at it learns from the same. Pairs whose transcripts diverge before the last turn are left out, and
    the note says how many. A run of KTO has thumbs and both_bad too. Raises Invalid where nothing is left and choices
    are `needed`, Stopped once `should_stop()` is true.
    """
    with database.read() as session:
        stored = [p for p in preference_pairs(session) if p.newest <= run.last_preference_id]
        before = previous_run(session, run)
    usable = _single_turns(stored)
    table = _features(initial, usable, on_progress, should_stop)
    kept, first, why = _select(str(run.config.get("preferences", "auto")), before, usable, table)
    edits = _edits(database, run, first)
    single = None
    if run.algorithm == "kto":
        since = _last_since(run, [usable[i] for i in kept])
        single = ratings_of(database, run, first=first, last_since=since, edits=edits)
    if needed and not kept and not edits and not (single and single.rated):
        raise Invalid(
            f"There is nothing to learn from: {len(stored)} decided pairs of train prompts.",
            hint="Label some comparisons first; ties and skips make no pairs. KTO learns from thumbs in the chat too.",
        )
    note = f"{len(kept) + len(edits)} pairs; {why}"
    if edits:
        note += f", with {len(edits)} edited replies"
    ties = _ties(database, run, first)
    if ties:
        note += f", and {len(ties)} ties"
    if len(stored) > len(usable):
        note += f"; {len(stored) - len(usable)} that differ before the last turn were left out"
    if single:
        note += f", {single.note}"
    tables = [table[:, kept]] if kept else []
    tables += [_features(initial, edits, on_progress, should_stop)] if edits else []
    pairs = [*(usable[i] for i in kept), *edits]
    if not needed and not pairs:
        note = "no decided choices; the rewards need none"
    features_of_all = np.concatenate(tables, axis=1) if tables else table
    return _training_data(pairs, features_of_all, first=first, note=note + ".", ties=ties, single=single)


def demonstrations_of(pairs: Sequence[Pair]) -> list[Demonstration]:
    """What pairs show to be worth imitating: their chosen completions."""
    return [Demonstration(p.prompt, p.chosen, p.preference_id, p.group) for p in pairs]


def all_choices(session: Session, initial: Policy) -> TrainingData:
    """Every decided pair so far as data, for comparing checkpoints outside of a run."""
    pairs = _single_turns(preference_pairs(session))
    return _training_data(pairs, _features(initial, pairs), first=0, note=f"{len(pairs)} pairs; all choices so far.")


def train_questions(database: Database) -> list[Question]:
    """The prompts that a policy completes while it trains: all of the train split that people may be shown."""
    return _questions(database, Split.train)


def validation_questions(database: Database) -> list[Question]:
    """The prompts that a policy completes where a run looks at how good its text is."""
    return _questions(database, Split.validation)


def validation_pairs(database: Database, run: TrainingRun) -> list[Pair]:
    """The decided pairs of validation prompts, made up to the run's queueing: a run looks at them and never learns."""
    with database.read() as session:
        stored = preference_pairs(session, splits=[Split.validation])
    return [_example(p) for p in _single_turns(stored) if p.newest <= run.last_preference_id]


def _questions(database: Database, split: Split) -> list[Question]:
    with database.read() as session:
        return [Question(p.messages, p.reference, p.group_key) for p in offered_prompts(session, splits=[split])]


def _training_data(
    pairs: list[PreferencePair],
    table: NDArray[np.float64],
    *,
    first: int,
    note: str,
    ties: Sequence[PreferencePair] = (),
    single: Ratings | None = None,
) -> TrainingData:
    examples, rankings = [_example(p) for p in pairs], [_tie(p) for p in ties]
    rated, behind = (single.rated, single.preference_ids) if single else ((), ())
    return TrainingData(
        pairs=examples,
        features=table,
        preference_ids=(*(i for p in [*pairs, *ties] for i in p.preference_ids), *behind),
        first_preference_id=first,
        digest=_digest(examples, rankings, rated),
        note=note,
        ties=tuple(rankings),
        ratings=rated,
    )


def _single_turns(pairs: list[PreferencePair]) -> list[PreferencePair]:
    return [p for p in pairs if p.chosen.turns is None and p.rejected.turns is None]


def _edits(database: Database, run: TrainingRun, first: int) -> list[PreferencePair]:
    """Replies edited since the run that had all choices up to `first` began, until this one began."""
    if str(run.config.get("preferences", "auto")).startswith("last "):
        return []
    with database.read() as session:
        after = began_with(session, last_preference_id=first) if first else None
        return edited_pairs(session, after=after, until=run.started_at)


def _ties(database: Database, run: TrainingRun, first: int) -> list[PreferencePair]:
    """Comparisons called a tie after the choice `first`, until the run was queued, where the config asks for them."""
    if not run.config.get("ties"):
        return []
    with database.read() as session:
        return _single_turns([p for p in tied_pairs(session, after=first) if p.newest <= run.last_preference_id])


def _select(
    wanted: str, before: TrainingRun | None, pairs: list[PreferencePair], table: NDArray[np.float64]
) -> tuple[list[int], int, str]:
    """Indices of the pairs to use, the preference id they begin after, and why these."""
    everything = list(range(len(pairs)))
    if wanted == "all":
        return everything, 0, "all choices so far, as configured"
    if wanted.startswith("last "):
        kept = everything[-int(wanted.removeprefix("last ")) :]
        return kept, 0, f"the last {len(kept)} decided choices, as configured"
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
    model = cross_fit(table[0, earlier], table[1, earlier], groups)
    check = wishes_changed(model, table[0, newer], table[1, newer])
    if check.changed:
        return newer, border, f"only the newer choices. {check.reason}".rstrip(".")
    return current, begin, so_far


def _features(
    initial: Policy,
    pairs: list[PreferencePair],
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> NDArray[np.float64]:
    """[2, P, F]: of the chosen, then of the rejected."""
    items: list[Item] = [(p.messages, p.chosen.text) for p in pairs] + [(p.messages, p.rejected.text) for p in pairs]
    table = features(initial, items, on_progress=on_progress, should_stop=should_stop)
    return table.reshape(2, len(pairs), -1) if pairs else table.reshape(2, 0, 0)


def _example(pair: PreferencePair) -> Pair:
    return Pair(
        prompt=pair.messages,
        chosen=pair.chosen.text,
        rejected=pair.rejected.text,
        preference_id=pair.newest,
        group=pair.group_key,
        strength=pair.strength,
    )


def _tie(pair: PreferencePair) -> Ranking:
    return Ranking(pair.messages, (pair.chosen.text, pair.rejected.text), (0.5, 0.5), group=pair.group_key)


def _last_since(run: TrainingRun, kept: list[PreferencePair]) -> int | None:
    """The oldest preference that a run of the last few uses; None for any other run."""
    last = str(run.config.get("preferences", "auto")).startswith("last ")
    return min((pair.newest for pair in kept), default=0) if last else None


def _digest(pairs: list[Pair], ties: list[Ranking], rated: Sequence[Rated]) -> str:
    learnt: list[list[Any]] = [[p.prompt, p.chosen, p.rejected, *([p.strength] if p.strength else [])] for p in pairs]
    learnt += [[tie.prompt, *tie.completions, "tie"] for tie in ties]
    learnt += [[one.prompt, one.completion, one.good] for one in rated]
    return hashlib.sha256("".join(json.dumps(one) + "\n" for one in learnt).encode()).hexdigest()
