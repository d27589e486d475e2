"""What the comparison says of its figures, and that both sides are given the same."""

import pytest
import side_by_side
from speed.setting import MAX_LENGTH, SIZES, asked, pairs

from trainer.examples import encode
from trainer.policy import load_tokenizer
from trainer.starter import WEIGHTS


def figures(seconds, memory, losses, steps=10):
    return {
        "seconds": seconds,
        "processor_seconds": seconds,
        "growth_mib": memory,
        "losses": losses,
        "steps": steps,
    }


BAR = side_by_side.Bar("dpo_trl", faster=1.3, memory=0.5)


def test_a_bar_that_is_reached_is_held_and_the_other_missed():
    line = side_by_side.verdict(figures(10.0, 60, [0.7]), figures(13.1, 100, [0.7]), "dpo", BAR)
    assert "1.31x as fast (wanted 1.3: held" in line and "0.60x the memory (wanted 0.5: missed)" in line
    line = side_by_side.verdict(figures(10.0, 50, [0.7]), figures(12.9, 100, [0.7]), "dpo", BAR)
    assert "1.29x as fast (wanted 1.3: missed" in line and "0.50x the memory (wanted 0.5: held)" in line


def test_losses_are_as_far_apart_as_their_worst_step():
    assert side_by_side.difference(figures(1, 1, [0.7, 0.5]), figures(1, 1, [0.7, 0.4])) == pytest.approx(0.1)
    assert side_by_side.difference(figures(1, 1, [0.7]), figures(1, 1, [0.7, 0.4])) == float("inf")


def test_of_several_rounds_the_fastest_counts_with_the_least_memory(monkeypatch, tmp_path):
    rounds = {
        "dpo": [figures(3.0, 10, []), figures(2.0, 20, [])],
        "dpo_trl": [figures(5.0, 9, []), figures(6.0, 8, [])],
    }
    monkeypatch.setattr(side_by_side, "run", lambda part, *_: rounds[part].pop(0))
    given = side_by_side.argparse.Namespace(short=False, rounds=2)
    found = side_by_side.measured("starter", ["dpo", "dpo_trl"], given, tmp_path)
    assert [(one["seconds"], one["growth_mib"]) for one in found.values()] == [(2.0, 10), (5.0, 8)]


def test_no_pair_is_shortened():
    tokenizer = load_tokenizer(WEIGHTS)
    for pair in pairs(max(size.pairs for size in SIZES.values())):
        encoded = encode(tokenizer, pair.prompt, [pair.chosen, pair.rejected], max_length=MAX_LENGTH)
        assert not encoded.shortened


def test_the_pairs_are_always_the_same_and_their_sides_differ():
    made = pairs(SIZES["starter"].pairs)
    assert made == pairs(SIZES["starter"].pairs)
    assert len({str(pair.prompt) for pair in made}) == len(made)
    assert all(pair.chosen != pair.rejected for pair in made)
    assert [pair.prompt for pair in made] == asked(len(made))
