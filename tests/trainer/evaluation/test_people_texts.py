"""What people are given: both texts of every case, each stamped with its checkpoint, on sides that are drawn."""

import random

from trainer.evaluation.people_texts import drawn_pairs
from trainer.evaluation.protocol import Case
from trainer.evaluation.samples import SAMPLING, seed_of

CASES = [Case(str(n), [{"role": "user", "content": f"{n}?"}], f"new {n}", f"old {n}") for n in range(200)]


def test_every_text_keeps_its_checkpoint_its_seed_and_its_settings() -> None:
    pairs = drawn_pairs(CASES, candidate="new", baseline="old", chance=random.Random(0))
    assert [number for number, *_ in pairs] == list(range(200))
    for number, *sides in pairs:
        assert {c.checkpoint_id: c.text for c in sides} == {"new": f"new {number}", "old": f"old {number}"}
        assert {c.seed for c in sides} == {seed_of(CASES[number].messages, 0)}
        assert all(c.sampling is not None and c.sampling["temperature"] == SAMPLING.temperature for c in sides)


def test_the_sides_are_tossed_fairly() -> None:
    pairs = drawn_pairs(CASES, candidate="new", baseline="old", chance=random.Random(0))
    assert 65 <= sum(left.checkpoint_id == "new" for _, left, _ in pairs) <= 135  # five standard deviations
