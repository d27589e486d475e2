"""Labelling: comparisons made ahead, handed out blinded, choices recorded, undone and revealed.

What a person can do here is shared by the Label tab and the API. Which prompts and completions make a comparison is
in `app/comparisons.py`; a hidden repeat of what a labeller decided before comes from `app/repeats.py`.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as clock

from sqlmodel import Session, col, func, select

from app.comparisons import ComparisonMaker
from app.repeats import due_repeat
from app.serving.engine import EngineClosed
from storage.comparisons import claim_comparison, get_comparison, held_comparison, lease_comparison, sides
from storage.database import Database
from storage.errors import NotFound, Unavailable
from storage.preferences import last_preference, record_labeller, record_preference, withdraw_preference
from storage.prompts import Messages, get_prompt, record_prompt
from storage.tables import Checkpoint, Choice, Comparison, Completion, Preference, Strength

log = logging.getLogger(__name__)

WAIT_S = 30.0


@dataclass(frozen=True)
class ShownComparison:
    """What a person sees before the choice: nothing about models, counts or purpose."""

    id: str
    prompt_id: int
    messages: Messages
    tags: tuple[str, ...]
    left: str
    right: str


@dataclass(frozen=True)
class Revealed:
    """What is told about one side after the choice."""

    checkpoint_id: str | None
    checkpoint: str
    temperature: float | None
    seed: int | None


@dataclass(frozen=True)
class Recorded:
    preference_id: int
    created: bool
    choice: Choice
    left: Revealed
    right: Revealed


class Labelling:
    """Hands out comparisons and records choices; `repeat_share` of them are hidden repeats. For several threads."""

    def __init__(self, database: Database, maker: ComparisonMaker, *, repeat_share: float = 0.0) -> None:
        self._database = database
        self._maker = maker
        self._repeat_share = repeat_share
        self._arrived = threading.Condition()
        self._closing = False

    def refill(self) -> int:
        """Make comparisons until enough wait; returns how many were made. One caller at a time, others return."""
        made = 0
        try:
            while not self._closing and self._maker.make_next():
                made += 1
                with self._arrived:
                    self._arrived.notify_all()
        except EngineClosed:
            log.info("the last comparison was not finished")
        return made

    def close(self) -> None:
        """Make no more comparisons, and tell whoever waits for one."""
        with self._arrived:
            self._closing = True
            self._arrived.notify_all()

    def next_comparison(
        self,
        *,
        labeller_id: str | None,
        prompt_id: int | None = None,
        messages: Messages | None = None,
        wait_s: float = WAIT_S,
    ) -> ShownComparison | None:
        """The next comparison for this labeller's session, leased to it; None when there are no prompts left.

        With a prompt id, or a prompt of one's own, two fresh completions of it are made now (evaluation comparisons
        for validation and held-out prompts). Raises Unavailable when the queue stays cold for `wait_s` seconds.
        """
        if messages is not None:
            with self._database.write() as session:
                prompt_id = record_prompt(session, messages=messages, source="typed").id
        if prompt_id is not None:
            comparison_id = self._maker.make_for(prompt_id)
            with self._database.write() as session:
                comparison = get_comparison(session, comparison_id)
                lease_comparison(session, comparison, labeller_id=labeller_id)
                return _shown(session, comparison)
        deadline = time.monotonic() + wait_s
        while True:
            with self._database.write() as session:
                if labeller_id is not None:
                    record_labeller(session, labeller_id=labeller_id)
                waiting = self._repeat(session, labeller_id) or claim_comparison(session, labeller_id=labeller_id)
                if waiting is not None:
                    return _shown(session, waiting)
                if not self._maker.has_prompts(session):
                    return None
            if self._closing:
                raise Unavailable("The program is shutting down.", hint="Start it again.", code="closing")
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"No comparison was ready within {wait_s:.0f} s.",
                    hint="The model is busy or still loading; try again.",
                )
            with self._arrived:
                self._arrived.wait(timeout=min(0.5, max(0.0, deadline - time.monotonic())))

    def _repeat(self, session: Session, labeller_id: str | None) -> Comparison | None:
        """A hidden repeat where one is due; never in the place of what is before the labeller."""
        if labeller_id is None or held_comparison(session, labeller_id=labeller_id) is not None:
            return None
        return due_repeat(session, labeller_id=labeller_id, share=self._repeat_share)

    def record_choice(
        self,
        *,
        comparison_id: str,
        labeller_id: str,
        choice: Choice,
        client_id: str,
        strength: Strength | None = None,
        reason: str | None = None,
    ) -> Recorded:
        """Store the choice in one transaction and reveal the two sides. The same client_id again changes nothing."""
        with self._database.write() as session:
            preference, created = record_preference(
                session,
                comparison_id=comparison_id,
                labeller_id=labeller_id,
                choice=choice,
                client_id=client_id,
                strength=strength,
                reason=reason,
            )
            return _recorded(session, preference, created)

    def undo(self, *, preference_id: int, labeller_id: str | None = None) -> ShownComparison:
        """Take a choice back; its comparison is before the labeller again."""
        with self._database.write() as session:
            preference = withdraw_preference(session, preference_id=preference_id, labeller_id=labeller_id)
            return _shown(session, get_comparison(session, preference.comparison_id))

    def undo_last(self, *, labeller_id: str) -> ShownComparison:
        """Undo the labeller's newest standing choice. Raises NotFound when there is none."""
        with self._database.read() as session:
            newest = last_preference(session, labeller_id=labeller_id)
        if newest is None or newest.id is None:
            raise NotFound("There is no choice to undo.")
        return self.undo(preference_id=newest.id, labeller_id=labeller_id)

    def last_choice(self, *, labeller_id: str) -> Recorded | None:
        """The labeller's newest standing choice with what it revealed, for a page that was reloaded."""
        with self._database.read() as session:
            newest = last_preference(session, labeller_id=labeller_id)
            return None if newest is None else _recorded(session, newest, False)

    def choices_today(self, *, labeller_id: str) -> int:
        midnight = datetime.combine(datetime.now(UTC).date(), clock.min, UTC)
        with self._database.read() as session:
            return session.exec(
                select(func.count()).where(
                    Preference.labeller_id == labeller_id,
                    col(Preference.withdrawn_at).is_(None),
                    Preference.choice != Choice.skip,
                    Preference.created_at >= midnight,
                )
            ).one()


def _shown(session: Session, comparison: Comparison) -> ShownComparison:
    prompt = get_prompt(session, comparison.prompt_id)
    left, right = sides(session, comparison)
    return ShownComparison(
        comparison.id, comparison.prompt_id, prompt.messages, tuple(prompt.tags), left.text, right.text
    )


def _recorded(session: Session, preference: Preference, created: bool) -> Recorded:
    left, right = sides(session, get_comparison(session, preference.comparison_id))
    assert preference.id is not None
    return Recorded(preference.id, created, preference.choice, _revealed(session, left), _revealed(session, right))


def _revealed(session: Session, completion: Completion) -> Revealed:
    checkpoint = session.get(Checkpoint, completion.checkpoint_id) if completion.checkpoint_id else None
    temperature = (completion.sampling or {}).get("temperature")
    name = checkpoint.name if checkpoint else "imported"
    return Revealed(completion.checkpoint_id, name, temperature, completion.seed)
