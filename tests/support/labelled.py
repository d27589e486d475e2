"""Made-up choices for tests of what comes after labelling: prompts, completions and preferences, as rows."""

import random
import uuid
from collections.abc import Callable

from storage.comparisons import record_comparison
from storage.database import Database
from storage.preferences import record_preference
from storage.prompts import record_prompt
from storage.tables import Choice, ComparisonState, Completion, Purpose, Split

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "saw",
    "one",
    "more",
    "dog",
    "run",
    "past",
    "some",
    "red",
    "box",
    "near",
    "our",
    "old",
    "tree",
]


def record_prompts(database: Database, *, train: int, heldout: int) -> None:
    """Prompts of one short question each; split as asked for."""
    with database.write() as session:
        for number in range(train + heldout):
            record_prompt(
                session,
                messages=[{"role": "user", "content": f"Question {number}?"}],
                source="test",
                group_key=f"g{number}",
                split=Split.train if number < train else Split.heldout,
            )


def record_choices(
    database: Database,
    *,
    count: int,
    word: str = "please",
    seed: int = 0,
    turned: Callable[[str], str] = str,
    split: Split = Split.train,
    first: int = 0,
) -> list[int]:
    """`count` decided choices for completions that hold `word`, `turned`, over those that do not; their ids."""
    chance = random.Random(seed)
    ids = []
    with database.write() as session:
        for number in range(first, first + count):
            prompt = record_prompt(
                session,
                messages=[{"role": "user", "content": f"Question {number}?"}],
                source="test",
                group_key=f"g{number}",
                split=split,
            )
            assert prompt.id is not None
            liked = turned(" ".join([word, *chance.sample(WORDS, 4)]))
            other = " ".join(chance.sample(WORDS, 5))
            left_is_liked = chance.random() < 0.5
            texts = (liked, other) if left_is_liked else (other, liked)
            comparison = record_comparison(
                session,
                prompt_id=prompt.id,
                left=Completion(prompt_id=prompt.id, text=texts[0]),
                right=Completion(prompt_id=prompt.id, text=texts[1]),
                purpose=Purpose.train,
                state=ComparisonState.leased,
            )
            preference, _ = record_preference(
                session,
                comparison_id=comparison.id,
                labeller_id="someone",
                choice=Choice.left if left_is_liked else Choice.right,
                client_id=uuid.UUID(int=chance.getrandbits(128)).hex,
            )
            assert preference.id is not None
            ids.append(preference.id)
    return ids
