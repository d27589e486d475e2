"""Which prompt and which completions make the next comparison, and making it.

Training comparisons are two completions of a train prompt by the served model. Once that is not the initial one, every
third of them takes one side from the initial model: else a style that has been learnt is hardly ever compared with its
absence, and wishes that change could not be told (docs/decisions/training-comparisons.md). And one comparison in five
is for evaluation: a held-out prompt, the served model against the previous or the initial one, a single unselected
sample each. While an evaluation by people goes on, another one in five is one of its own, made before. People cannot
tell them apart.
"""

import logging
import random
import threading
from dataclasses import asdict, dataclass
from typing import Literal

from sqlmodel import Session, col, func, select

from app.selection import Judged, Selection, plain
from app.serving.engine import CheckpointUnusable, Engine
from storage.checkpoints import INITIAL
from storage.comparisons import count_waiting, record_comparison
from storage.database import Database
from storage.deployments import current_deployment, previously_served
from storage.errors import Invalid
from storage.people_evaluations import next_prepared, release_prepared
from storage.preferences import newest_choices
from storage.prompts import get_prompt
from storage.tables import Choice, Comparison, ComparisonState, Completion, Prompt, Purpose, Split
from trainer.guards import trips_guard
from trainer.prompting import PromptError
from trainer.sampling import Generated, Sampling

log = logging.getLogger(__name__)

EVALUATION_EVERY = 5
EVALUATION_SLOT, ASKED_SLOT = 4, 1  # of every five
INITIAL_SIDE_EVERY = 3  # training comparisons
SIDES: dict[Choice, Literal["left", "right"]] = {Choice.left: "left", Choice.right: "right"}
JUDGED = 200  # newest choices that a selection learns from: wishes may change
RESAMPLES = 4  # of fresh completions, when no two of them are sound and different texts


@dataclass(frozen=True)
class _Plan:
    """The comparison to be made: one side by `against` where that is not None, and the deployment it is made under."""

    prompt: Prompt
    purpose: Purpose
    against: str | None
    generation: int


@dataclass(frozen=True)
class _Prepared:
    """A comparison of an evaluation by people whose turn has come."""

    comparison_id: str
    generation: int


class ComparisonMaker:
    """Makes comparisons one at a time; `make_next` is for the refill, `make_for` for a prompt someone asked for."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        *,
        ahead: int,
        sampling: Sampling,
        samples: int = 2,
        selection: Selection = plain,
        seed: int | None = None,
    ) -> None:
        """`selection` picks two of `samples` completions of the served model; `ahead` comparisons are kept waiting.

        With a `seed` and one thread, the same comparisons come again.
        """
        self._database = database
        self._engine = engine
        self._ahead = ahead
        self._sampling = sampling
        self._samples = samples
        self._select = selection
        self._refilling = threading.Lock()
        self._random = random.Random(seed)
        self._unusable: set[int] = set()  # gave no two different sound completions, or do not fit the model served
        self._generation = 0

    def has_prompts(self, session: Session) -> bool:
        """Whether any prompt may still be put before people, or a prepared comparison."""
        if next_prepared(session) is not None:
            return True
        query = select(Prompt.id).where(Prompt.split == Split.train, col(Prompt.offered))
        found = session.exec(query.limit(len(self._unusable) + 1))
        return any(prompt_id not in self._unusable for prompt_id in found)

    def make_next(self) -> bool:
        """Make one comparison if fewer wait than should; False when enough wait, or another thread is at it."""
        if not self._refilling.acquire(blocking=False):
            return False
        try:
            plan = self._plan()
            if plan is not None:
                self._make(plan)
            return plan is not None
        finally:
            self._refilling.release()

    def _plan(self, *, alone: bool = False) -> "_Plan | _Prepared | None":
        """What is to be made next, by the served model `alone` or with another; None when enough wait."""
        with self._database.read() as session:
            served = current_deployment(session)
            if served is None or served.id is None or sum(count_waiting(session).values()) >= self._ahead:
                return None
            if served.id != self._generation:  # what one model cannot use, another one may
                self._generation, self._unusable = served.id, set()
            made = self._count_made(session, served.id)
            baseline = None if alone else self._baseline(session)
            against = None if alone else _initial_side(served.checkpoint_id, made)
            asked = next_prepared(session)
            if asked is not None and made % EVALUATION_EVERY == ASKED_SLOT:
                return _Prepared(asked, served.id)
            if baseline is not None and made % EVALUATION_EVERY == EVALUATION_SLOT:
                prompt = self._pick(session, Split.heldout)
                if prompt is not None:
                    return _Plan(prompt, Purpose.evaluate, baseline, served.id)
            prompt = self._pick(session, Split.train)
            if prompt is not None:
                return _Plan(prompt, Purpose.train, against, served.id)
            return _Prepared(asked, served.id) if asked is not None else None

    def _make(self, plan: "_Plan | _Prepared") -> None:
        if isinstance(plan, _Prepared):
            with self._database.write() as session:
                release_prepared(session, plan.comparison_id, generation=plan.generation)
            return
        prompt = plan.prompt
        assert prompt.id is not None
        try:
            if plan.purpose is Purpose.evaluate and plan.against is not None:
                pair: list[Completion] | None = self._sample_pair(prompt, plan.against)
            else:
                pair = self._training_pair(prompt, plan.against)
        except PromptError as error:
            log.info("prompt %s cannot be given to the model: %s", prompt.id, error)
            pair = None
        except CheckpointUnusable as error:  # people go on labelling without it
            log.warning("a comparison with %s cannot be made: %s", plan.against, error)
            instead = self._plan(alone=True)
            if instead is not None:
                self._make(instead)
            return
        if pair is None:
            self._unusable.add(prompt.id)
        else:
            self._record(prompt, pair, plan.purpose, generation=plan.generation)

    def make_for(self, prompt_id: int) -> str:
        """A comparison of this prompt made now, leased at once; its id."""
        with self._database.read() as session:
            prompt = get_prompt(session, prompt_id)
            baseline = self._baseline(session)
        purpose = Purpose.train if prompt.split is Split.train else Purpose.evaluate
        if purpose is Purpose.train:
            pair = self._training_pair(prompt)
        else:
            pair = self._sample_pair(prompt, baseline or INITIAL)
        if pair is None:
            raise Invalid(
                f"The model gave no two different sound completions of prompt {prompt_id} in {RESAMPLES} tries.",
                hint="Raise the sampling temperature, or try another prompt.",
            )
        return self._record(prompt, pair, purpose)

    def _baseline(self, session: Session) -> str | None:
        """What the served model is compared with: previous and initial in turn; None while there is no other."""
        served = current_deployment(session)
        if served is None:
            return None
        others = {INITIAL, previously_served(session)} - {served.checkpoint_id, None}
        return self._random.choice(sorted(o for o in others if o)) if others else None

    def _count_made(self, session: Session, generation: int) -> int:
        query = select(func.count()).where(
            Comparison.generation == generation, Comparison.state != ComparisonState.dropped
        )
        return session.exec(query).one()

    def _pick(self, session: Session, split: Split) -> Prompt | None:
        """One of the prompts that were compared least often, by a fair draw."""
        counted = (
            select(col(Prompt.id).label("id"), func.count(col(Comparison.id)).label("used"))
            .outerjoin(Comparison, col(Comparison.prompt_id) == col(Prompt.id))
            .where(Prompt.split == split, col(Prompt.offered), col(Prompt.id).not_in(self._unusable))
            .group_by(col(Prompt.id))
            .subquery()
        )
        least = session.exec(
            select(counted.c.used, func.count()).group_by(counted.c.used).order_by(counted.c.used)
        ).first()
        if least is None:
            return None
        used, prompts = least
        drawn = select(counted.c.id).where(counted.c.used == used).order_by(counted.c.id)
        return session.get(Prompt, session.exec(drawn.offset(self._random.randrange(prompts)).limit(1)).one())

    def _training_pair(self, prompt: Prompt, against: str | None = None) -> list[Completion] | None:
        """Two different sound completions, by the served model or by it and `against`; None when no try gave two."""
        for _ in range(RESAMPLES):
            made = self._sample_pair(prompt, against) if against else self._sample_several(prompt)
            sound = {c.text.strip(): c for c in made if not trips_guard(c.text)}
            if len(sound) > 1:
                first, second = self._select(prompt.messages, list(sound), self._judged())
                different = list(sound.values())
                return [different[first], different[second]]
        log.info("prompt %s gave no two different sound completions", prompt.id)
        return None

    def _judged(self) -> list[Judged]:
        """What people said of the newest training comparisons."""
        with self._database.read() as session:
            newest = newest_choices(session, limit=JUDGED)
        return [Judged(messages, left, right, SIDES.get(choice)) for messages, left, right, choice in newest]

    def _sample_several(self, prompt: Prompt) -> list[Completion]:
        """Samples of the served model to select two from, in one batch."""
        seeds = [self._random.randrange(2**31) for _ in range(self._samples)]
        ticket = self._engine.submit([prompt.messages] * len(seeds), sampling=self._sampling, seeds=seeds)
        made = ticket.result()
        return [self._completion(prompt, ticket.checkpoint_id, g, s) for g, s in zip(made, seeds, strict=True)]

    def _sample_pair(self, prompt: Prompt, baseline: str) -> list[Completion]:
        """One sample each of the served model and the baseline."""
        pair = []
        for checkpoint_id in (None, baseline):
            seed = self._random.randrange(2**31)
            ticket = self._engine.submit(
                [prompt.messages], sampling=self._sampling, seeds=[seed], checkpoint_id=checkpoint_id
            )
            pair.append(self._completion(prompt, ticket.checkpoint_id, ticket.result()[0], seed))
        return pair

    def _completion(self, prompt: Prompt, checkpoint_id: str, made: Generated, seed: int) -> Completion:
        assert prompt.id is not None
        return Completion(
            prompt_id=prompt.id,
            checkpoint_id=checkpoint_id,
            text=made.text,
            seed=seed,
            sampling=asdict(self._sampling),
            finish_reason=made.finish_reason,
            tokens=made.tokens,
        )

    def _record(
        self, prompt: Prompt, pair: list[Completion], purpose: Purpose, *, generation: int | None = None
    ) -> str:
        """Store it: waiting where it was made ahead for a generation, leased where someone asked for it.

        One whose model was swapped out while it was made is stored as dropped: nobody sees it.
        """
        self._random.shuffle(pair)  # the fair coin that decides the sides
        with self._database.write() as session:
            served = current_deployment(session)
            current = served.id if served and served.id else 0
            if generation is None:
                state = ComparisonState.leased
            else:
                state = ComparisonState.waiting if generation == current else ComparisonState.dropped
            assert prompt.id is not None
            return record_comparison(
                session,
                prompt_id=prompt.id,
                left=pair[0],
                right=pair[1],
                purpose=purpose,
                generation=current if generation is None else generation,
                state=state,
            ).id


def _initial_side(served: str, made: int) -> str | None:
    """The initial model where the next training comparison of this deployment takes one side from it."""
    training = made - made // EVALUATION_EVERY
    due = served != INITIAL and training % INITIAL_SIDE_EVERY == INITIAL_SIDE_EVERY - 1
    return INITIAL if due else None
