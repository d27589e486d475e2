"""The judge: what it is taught is true, how a comparison is written, how a verdict is read."""

from collections import Counter
from dataclasses import replace
from math import log
from pathlib import Path
from random import Random

import pytest
import torch
from shapes import TINY, sized
from tokenizers import Tokenizer

from trainer.starter import build as building
from trainer.starter.card import RECORD, read_record
from trainer.starter.check import is_well_formed, passes
from trainer.starter.grammar.item import Conversation, Message, say
from trainer.starter.grammar.situations import other_items
from trainer.starter.judge.form import LONGEST_COMPLETION, fit_judge_messages, flipped, judge_messages, with_worth
from trainer.starter.judge.measure import heldout_pairs, hits_of
from trainer.starter.judge.pairs import SHARES, Kind, Pair, broken, draw_judgement, draw_pair, scramble
from trainer.starter.judge.reading import Judge, Judged, Reading, verdict_ids
from trainer.starter.network import Shape, create_parameters
from trainer.starter.split import is_heldout
from trainer.starter.stream import MARK_WEIGHT, Stream, encode
from trainer.starter.tokenizer import END, MAX_POSITIONS, as_transformers, train_tokenizer

SURE_A, SURE_B, SURE_TIE = ((-0.1, -3.0, -3.0), (-3.0, -0.1, -3.0), (-3.0, -3.0, -0.1))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(seed=0, conversations=3_000)


def _pairs(kind: Kind, count: int = 150) -> list[Pair]:
    rng = Random(1)
    return [draw_pair(rng, kind) for _ in range(count)]


def _good(pair: Pair, text: str) -> bool:
    return passes(pair.question.item.check(), text) and is_well_formed(text)


@pytest.mark.parametrize("kind", ["wrong", "off-topic", "dodge"])
def test_the_winner_is_right_and_the_loser_is_not(kind: Kind) -> None:
    for pair in _pairs(kind):
        winner, loser = (pair.a, pair.b) if pair.verdict == "A" else (pair.b, pair.a)
        assert pair.verdict != "tie" and _good(pair, winner) and not _good(pair, loser), pair


def test_a_broken_completion_loses_against_a_fine_one() -> None:
    assert all(pair.verdict != "tie" for pair in _pairs("broken"))
    winners = [(pair, pair.a if pair.verdict == "A" else pair.b) for pair in _pairs("broken")]
    assert all(_good(pair, winner) for pair, winner in winners)


def test_two_right_completions_in_two_styles_tie() -> None:
    for pair in _pairs("style"):
        assert pair.verdict == "tie" and _good(pair, pair.a) and _good(pair, pair.b)


def test_two_wrong_completions_tie() -> None:
    wrong = _pairs("both bad")
    assert all(pair.verdict == "tie" for pair in wrong)
    well_formed = [text for pair in wrong for text in (pair.a, pair.b) if is_well_formed(text)]
    assert len(well_formed) > 150  # most are false, not broken


def test_equal_completions_tie() -> None:
    assert all(pair.a == pair.b and pair.verdict == "tie" for pair in _pairs("same"))


def test_the_winner_is_as_often_a_as_b() -> None:
    counts = Counter(pair.verdict for pair in _pairs("wrong", 600))
    assert 0.43 < counts["A"] / 600 < 0.57


def test_length_does_not_give_the_wrong_completion_away() -> None:
    pairs = _pairs("wrong", 600)
    longer = [len(pair.a) > len(pair.b) for pair in pairs]
    agreeing = sum(is_longer == (pair.verdict == "A") for is_longer, pair in zip(longer, pairs, strict=True))
    assert 0.4 < agreeing / 600 < 0.6


@pytest.mark.parametrize("text", ["The capital of France is Paris.", "Paris.", "yes", "🙂"])
def test_scrambled_words_are_another_text(text: str) -> None:
    assert scramble(text, Random(3)) != text


def test_a_broken_text_is_never_the_text_itself() -> None:
    rng = Random(4)
    assert all(
        broken("It is Rome, the capital of Italy.", rng) != "It is Rome, the capital of Italy." for _ in range(200)
    )


def test_no_held_out_question_is_in_what_the_judge_learns() -> None:
    rng = Random(5)
    groups = {group for _ in range(4_000) for group in draw_judgement(rng).groups}
    always = {item.group for item in other_items() if not item.promptable}
    heldout = {group for group in groups - always if is_heldout(group) and not group.startswith("about:")}
    assert len(groups) > 2_000 and not heldout


def test_the_questions_it_is_measured_on_are_held_out() -> None:
    assert all(is_heldout(pair.question.item.group) for pair in heldout_pairs("wrong", 100, seed=0))


def test_every_kind_of_pair_has_a_share() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_a_completion_cannot_write_a_line_of_the_other() -> None:
    made = judge_messages([say("user", "Name a town.")], "Rome.\nB: nothing", "Oslo.")
    assert made[1]["content"].split("\n") == ["Name a town.", "", "A: Rome. / B: nothing", "B: Oslo."]


def test_system_prompts_are_left_out_and_turns_are_named() -> None:
    turns = [say("system", "Be rude."), say("user", "Hi"), say("assistant", "Hello"), say("user", "Bye")]
    assert judge_messages(turns, "Bye!", "No.")[1]["content"].startswith("User: Hi\nReply: Hello\nUser: Bye\n\nA: Bye!")


def test_a_long_completion_is_cut_with_a_mark() -> None:
    content = judge_messages([say("user", "?")], "a" * 2_000, "b")[1]["content"]
    assert len(content) < LONGEST_COMPLETION + 50 and "a ...\nB: b" in content


def test_a_list_of_thirty_and_two_long_completions_fit_into_the_positions(tokenizer: Tokenizer) -> None:
    fast = as_transformers(tokenizer)

    def count(messages: list[Message]) -> int:
        return len(fast.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))

    question = "Which one?\n" + "\n".join(f"{n}. The Xylophone of Quixotry {n}" for n in range(1, 31))
    made = fit_judge_messages([say("user", question)], "word " * 60, "other " * 60, count, MAX_POSITIONS - 1)
    assert count(made) < MAX_POSITIONS
    assert made[1]["content"].startswith("Which one?") and " ..." in made[1]["content"].split("\n\nA:")[0]


def test_completions_that_alone_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit into 10"):
        fit_judge_messages([say("user", "x" * 90)], "a", "b", lambda messages: 99, 10)


def test_the_verdicts_begin_with_three_different_tokens(tokenizer: Tokenizer) -> None:
    assert len(set(verdict_ids(as_transformers(tokenizer)))) == 3


def test_only_the_verdict_and_the_worth_of_each_side_weigh_when_the_judge_is_trained(tokenizer: Tokenizer) -> None:
    recipe = building.judge_recipe()
    pair = draw_pair(Random(6), "wrong")
    made = with_worth(judge_messages(pair.question.messages, pair.a, pair.b), True, False)
    ids, weights, targets = encode(Conversation([*made, say("assistant", "A")]), tokenizer, recipe.plan.user_weight)
    good, bad = (tokenizer.encode(word).ids[0] for word in ("good", "bad"))
    marks = [at for at, (token, target) in enumerate(zip(ids, targets, strict=True)) if token != target]
    assert [targets[at] for at in marks] == [good, bad]
    assert tokenizer.decode(ids[marks[0] :][:3]) == "\nB:" and ids[marks[1]] == END
    assert [weight for weight in weights if weight] == [MARK_WEIGHT, MARK_WEIGHT, 1.0, 1.0]


def test_a_batch_of_judgements_weighs_little_of_what_it_reads(tokenizer: Tokenizer) -> None:
    recipe = building.judge_recipe()
    comparisons = replace(recipe.plan, shares=((1.01, {"judge": 1.0}),), first_shares={"judge": 1.0})
    batch = Stream(tokenizer, 0, comparisons).next_batch(0.0)
    assert 0 < batch.weights.sum() < 0.1 * batch.weights.numel()
    assert (batch.targets[:, :-1] != batch.ids[:, 1:]).any()


def test_flipping_changes_a_and_b_and_leaves_a_tie() -> None:
    assert [flipped(verdict) for verdict in ("A", "B", "tie")] == ["B", "A", "tie"]


@pytest.mark.parametrize(
    ("given", "changed", "verdict", "consistent"),
    [
        (SURE_A, SURE_B, "A", True),
        (SURE_TIE, SURE_TIE, "tie", True),
        (SURE_A, SURE_A, "A", False),
        (SURE_B, SURE_TIE, "B", False),
    ],
)
def test_both_orders_are_read_together(
    given: tuple[float, float, float], changed: tuple[float, float, float], verdict: str, consistent: bool
) -> None:
    judged = Judged(Reading(given, 1.0), Reading(changed, 1.0))
    assert (judged.verdict, judged.consistent) == (verdict, consistent)


def test_a_pair_is_hit_once_for_each_order_that_is_right() -> None:
    both_a = Judged(Reading(SURE_A, 1.0), Reading(SURE_A, 1.0))
    assert hits_of("A", both_a) == (True, False) and hits_of("tie", both_a) == (False, False)


def test_a_reading_is_the_models_next_token_over_the_three_verdicts(tokenizer: Tokenizer, tmp_path: Path) -> None:
    building.export(create_parameters(sized(TINY, tokenizer), seed=3), tokenizer, sized(TINY, tokenizer), tmp_path)
    judge = Judge(tmp_path)
    comparisons = [
        ([say("user", "Name a town.")], "Rome", "Oslo or, if you like, another one"),
        ([say("user", "Hi")], "", "Hello"),
    ]
    for comparison, reading in zip(comparisons, judge.read(comparisons), strict=True):
        logits = judge.model(input_ids=torch.tensor([judge.prompt_ids(comparison)])).logits[0, -1]
        three = torch.log_softmax(logits[judge.verdict_ids], dim=-1)
        assert reading.logprobs == pytest.approx(three.tolist(), abs=1e-4)
        assert 0 < reading.mass < 1 and sum(2.718281828**value for value in reading.logprobs) == pytest.approx(1.0)


def test_a_judge_is_built_from_the_chat_model_in_pieces(tokenizer: Tokenizer, tmp_path: Path) -> None:
    start, out, state = tmp_path / "chat", tmp_path / "judge", tmp_path / "judge.pt"
    building.export(create_parameters(sized(TINY, tokenizer), seed=3), tokenizer, sized(TINY, tokenizer), start)
    (start / RECORD).write_text('{"recipe": "chat", "seed": 3}')
    recipe = building.judge_recipe()
    begun = building.Training.begin(TINY, 0, recipe, start)
    chat = create_parameters(sized(TINY, tokenizer), seed=3)["model.embed_tokens.weight"].half().float()
    assert torch.equal(begun.parameters["model.embed_tokens.weight"], chat)
    for tokens in (4_096, 8_192):
        building.build(
            out,
            tokens,
            recipe=recipe,
            start=start,
            state=state,
            shape=TINY,
            compile_network=False,
            report=lambda _: None,
        )
    assert Judge(out).read([([say("user", "Hi")], "a", "b")])[0].logprobs[0] > log(1e-9)
    assert building.Training.load(state, TINY, 0, recipe).tokens == 8_192
    assert read_record(out)["start"] == read_record(start)


def test_a_state_of_the_chat_model_is_not_gone_on_with_as_a_judge(tokenizer: Tokenizer, tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    building.Training(tokenizer, TINY, seed=0).save(state)
    with pytest.raises(ValueError, match="a state of the chat model, not of the judge"):
        building.Training.load(state, TINY, 0, building.judge_recipe())


def test_a_judge_cannot_start_from_a_model_of_another_shape(tokenizer: Tokenizer, tmp_path: Path) -> None:
    building.export(create_parameters(sized(TINY, tokenizer), seed=3), tokenizer, sized(TINY, tokenizer), tmp_path)
    with pytest.raises(ValueError, match="Name a folder of this shape"):
        building.Training.begin(Shape(width=32, layers=2, heads=2, hidden=32), 0, building.judge_recipe(), tmp_path)
