"""Which prompt and which completions make the next comparison, and making it.

Training comparisons are two completions of a train prompt by the served model. Once a second checkpoint has been
served, one comparison in five is for evaluation: a held-out prompt, the served model against the previous or the
initial one, a single unselected sample each. People cannot tell them apart.
"""

import logging
import random
import secrets
import threading
from dataclasses import asdict

from sqlmodel import Session, col, func, select

from app.serving.engine import Engine
from storage.database import Database
from storage.deployments import current_deployment, previously_served
from storage.errors import Invalid, Unavailable
from storage.checkpoints import INITIAL
from storage.preferences import count_waiting, record_comparison
from storage.prompts import get_prompt
from storage.tables import Comparison, ComparisonState, Completion, Prompt, Purpose, Split
from trainer.generation import Generated, Sampling
from trainer.guards import trips_guard

log = logging.getLogger(__name__)

EVALUATION_EVERY = 5
RESAMPLES = 4  # of two fresh completions, when both are the same text or one is broken


class ComparisonMaker:
    """Makes comparisons one at a time; `make_next` is for the refill, `make_for` for a prompt someone asked for."""

    def __init__(self, database: Database, engine: Engine, *, ahead: int, sampling: Sampling) -> None:
        self._database = database
        self._engine = engine
        self._ahead = ahead
        self._sampling = sampling
        self._refilling = threading.Lock()
        self._random = random.Random()
        self._unusable: set[int] = set()  # prompts that gave no two different sound completions

    def has_prompts(self, session: Session) -> bool:
        """Whether any prompt may still be put before people."""
        query = select(func.count()).where(Prompt.split == Split.train, col(Prompt.offered))
        return session.exec(query).one() > len(self._unusable)

    def make_next(self) -> bool:
        """Make one comparison if fewer wait than should; False when enough wait, or another thread is at it."""
        if not self._refilling.acquire(blocking=False):
            return False
        try:
            with self._database.read() as session:
                if sum(count_waiting(session).values()) >= self._ahead:
                    return False
                baseline = self._baseline(session)
                evaluate = baseline is not None and self._evaluation_is_due(session)
                prompt = self._pick(session, Split.heldout if evaluate else Split.train)
                if prompt is None and evaluate:
                    evaluate, prompt = False, self._pick(session, Split.train)
            if prompt is None or prompt.id is None:
                return False
            if evaluate and baseline is not None:
                self._make_evaluation(prompt, baseline)
            elif self._make_training(prompt) is None:
                self._unusable.add(prompt.id)
            return True
        finally:
            self._refilling.release()

    def make_for(self, prompt_id: int) -> str:
        """A comparison of this prompt made now, leased at once; its id."""
        with self._database.read() as session:
            prompt = get_prompt(session, prompt_id)
            baseline = self._baseline(session)
        if prompt.split is Split.train:
            made = self._make_training(prompt, state=ComparisonState.leased)
            if made is None:
                raise Invalid(
                    f"The model gave no two different sound completions of prompt {prompt_id} in {RESAMPLES} tries.",
                    hint="Raise the sampling temperature, or try another prompt.",
                )
            return made
        return self._make_evaluation(prompt, baseline or INITIAL, state=ComparisonState.leased)

    def _baseline(self, session: Session) -> str | None:
        """What the served model is compared with: previous and initial in turn; None while there is no other."""
        served = current_deployment(session)
        if served is None:
            return None
        others = {INITIAL, previously_served(session)} - {served.checkpoint_id, None}
        return self._random.choice(sorted(o for o in others if o)) if others else None

    def _evaluation_is_due(self, session: Session) -> bool:
        """Every fifth comparison of this deployment is for evaluation."""
        served = current_deployment(session)
        query = select(func.count()).where(
            Comparison.generation == (served.id if served else 0), Comparison.state != ComparisonState.dropped
        )
        return session.exec(query).one() % EVALUATION_EVERY == EVALUATION_EVERY - 1

    def _pick(self, session: Session, split: Split) -> Prompt | None:
        """One of the prompts that were compared least often, by a fair draw."""
        used = func.count(col(Comparison.id))
        query = (
            select(Prompt, used)
            .outerjoin(Comparison, col(Comparison.prompt_id) == col(Prompt.id))
            .where(Prompt.split == split, col(Prompt.offered))
            .group_by(col(Prompt.id))
            .order_by(used, func.random())
            .limit(len(self._unusable) + 1)
        )
        for prompt, _ in session.exec(query):
            if prompt.id not in self._unusable:
                return prompt
        return None

    def _make_training(self, prompt: Prompt, state: ComparisonState = ComparisonState.waiting) -> str | None:
        for _ in range(RESAMPLES):
            seeds = [secrets.randbelow(2**31) for _ in range(2)]
            ticket = self._engine.submit([prompt.messages] * 2, sampling=self._sampling, seeds=seeds)
            left, right = ticket.result(timeout=120)
            if left.text.strip() == right.text.strip() or trips_guard(left.text) or trips_guard(right.text):
                continue
            pair = [
                self._completion(prompt, ticket.checkpoint_id, g, s)
                for g, s in zip((left, right), seeds, strict=True)
            ]
            return self._record(prompt, pair, Purpose.train, state)
        log.info("prompt %s gave no two different sound completions", prompt.id)
        return None

    def _make_evaluation(
        self, prompt: Prompt, baseline: str, state: ComparisonState = ComparisonState.waiting
    ) -> str:
        pair = []
        for checkpoint_id in (None, baseline):
            seed = secrets.randbelow(2**31)
            ticket = self._engine.submit(
                [prompt.messages], sampling=self._sampling, seeds=[seed], checkpoint_id=checkpoint_id
            )
            pair.append(self._completion(prompt, ticket.checkpoint_id, ticket.result(timeout=120)[0], seed))
        return self._record(prompt, pair, Purpose.evaluate, state)

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
        self, prompt: Prompt, pair: list[Completion], purpose: Purpose, state: ComparisonState
    ) -> str:
        self._random.shuffle(pair)  # the fair coin that decides the sides
        with self._database.write() as session:
            served = current_deployment(session)
            if served is None:
                raise Unavailable("No model is served yet.", hint="Try again in a moment.")
            assert prompt.id is not None
            return record_comparison(
                session,
                prompt_id=prompt.id,
                left=pair[0],
                right=pair[1],
                purpose=purpose,
                generation=served.id or 0,
                state=state,
            ).id
