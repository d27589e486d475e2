"""Decoding: rows that do not know their neighbours, checked against transformers' own generate and forward."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.decoding import DecodingBatch
from trainer.drawing import NonFiniteLogits
from trainer.generation import generate
from trainer.policy import PLAIN_TEMPLATE, Policy
from trainer.prompting import PromptTooLong, fit_messages
from trainer.sampling import Generated, Sampling

PROMPTS = ["Hi", "Where does the rain go?", "Name three rivers of the north, please.", "Why?"]


@pytest.fixture
def policy(tiny_model_dir: Path) -> Policy:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval()
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(8)  # sharper than a fresh model, so that prompts matter
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    # no end token: rows are as long as a test asks for
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token = None
    return Policy(model, tokenizer, "digest")


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def ids_of(policy: Policy, text: str) -> list[int]:
    return fit_messages(policy.tokenizer, asked(text), max_positions=None, max_new_tokens=1)


def run(batch: DecodingBatch) -> tuple[list[Generated], list[str]]:
    """The finished rows, and the text that was streamed for each."""
    finished: dict[int, Generated] = {}
    streamed: dict[int, str] = {}
    while batch.live:
        for update in batch.step():
            streamed[update.row] = streamed.get(update.row, "") + update.text
            if update.generated is not None:
                assert update.row not in finished
                finished[update.row] = update.generated
    rows = sorted(finished)
    return [finished[row] for row in rows], [streamed[row] for row in rows]


def test_a_row_says_the_same_alone_and_in_a_batch(policy: Policy) -> None:
    settings = [
        Sampling(temperature=t, top_p=p, max_new_tokens=n)
        for t, p, n in [(1.0, 1.0, 24), (0.7, 0.9, 30), (0.0, 1.0, 8), (1.3, 0.5, 17)]
    ]
    rows = [(PROMPTS[i % 4], settings[i // 4 % 4], 1000 + i) for i in range(32)]
    together, _ = run(
        DecodingBatch(
            policy,
            [ids_of(policy, text) for text, _, _ in rows],
            sampling=[sampling for _, sampling, _ in rows],
            seeds=[seed for _, _, seed in rows],
        )
    )
    same = 0
    for row, (text, sampling, seed) in zip(together, rows, strict=True):
        (alone,), _ = run(DecodingBatch(policy, [ids_of(policy, text)], sampling=sampling, seeds=[seed]))
        same += alone.text == row.text and alone.token_ids == row.token_ids
    assert same >= 31, "a uniform number within rounding of a boundary may turn one row, no more"
    assert len({row.token_ids for row in together}) > 16, "the rows do differ from one another"


def test_greedy_rows_are_those_of_transformers_generate(policy: Policy) -> None:
    prompts = [ids_of(policy, text) for text in PROMPTS]
    ours, _ = run(DecodingBatch(policy, prompts, sampling=Sampling(0.0, max_new_tokens=20), seeds=[0] * 4))
    for prompt, row in zip(prompts, ours, strict=True):
        ids = policy.model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, pad_token_id=0)
        assert row.token_ids == tuple(ids[0, len(prompt) :].tolist())


def test_sampled_tokens_follow_the_softmax(policy: Policy) -> None:
    prompt, n = ids_of(policy, "Hi"), 4000
    rows, _ = run(DecodingBatch(policy, [prompt] * n, sampling=Sampling(1.5, max_new_tokens=1), seeds=range(n)))
    with torch.no_grad():
        expected = (policy.model(torch.tensor([prompt])).logits[0, -1] / 1.5).softmax(-1).double() * n
    counts = torch.zeros_like(expected)
    for row in rows:
        counts[row.token_ids[0]] += 1
    rare = expected < 5
    merged = [torch.cat([x[~rare], x[rare].sum()[None]]) for x in (counts, expected)]
    assert len(merged[0]) > 5
    assert chisquare(merged[0], merged[1] * (merged[0].sum() / merged[1].sum())).pvalue > 1e-4


def test_the_log_probability_is_that_of_one_forward_pass_over_the_whole_row(policy: Policy) -> None:
    prompts = [ids_of(policy, text) for text in PROMPTS]
    rows, _ = run(DecodingBatch(policy, prompts, sampling=Sampling(0.8, 0.9, 15), seeds=[1, 2, 3, 4]))
    for prompt, row in zip(prompts, rows, strict=True):
        ids = torch.tensor([[*prompt, *row.token_ids]])
        with torch.no_grad():
            logprobs = policy.model(ids).logits[0].log_softmax(-1)
        whole = sum(logprobs[len(prompt) - 1 + i, token].item() for i, token in enumerate(row.token_ids))
        assert row.logprob == pytest.approx(whole, abs=1e-3)
        assert row.tokens == len(row.token_ids)


def test_what_is_streamed_adds_up_to_the_text(policy: Policy) -> None:
    prompts = [ids_of(policy, text) for text in PROMPTS]
    rows, streamed = run(DecodingBatch(policy, prompts, sampling=Sampling(max_new_tokens=60), seeds=[5, 6, 7, 8]))
    assert [row.text for row in rows] == streamed


def test_a_stop_string_ends_its_row_only_and_is_not_part_of_the_text(policy: Policy) -> None:
    prompt = ids_of(policy, "Hi")
    free, _ = run(DecodingBatch(policy, [prompt] * 2, sampling=Sampling(max_new_tokens=40), seeds=[3, 4]))
    stop = free[0].text[6:9]
    rows, streamed = run(
        DecodingBatch(
            policy,
            [prompt] * 2,
            sampling=[Sampling(max_new_tokens=40, stop=(stop,)), Sampling(max_new_tokens=40)],
            seeds=[3, 4],
        )
    )
    assert rows[0].text == streamed[0] == free[0].text[: free[0].text.index(stop)]
    assert rows[0].finish_reason == "stop"
    assert rows[1].token_ids == free[1].token_ids


def test_every_one_of_several_end_tokens_ends_a_row_and_is_counted_but_not_shown(policy: Policy) -> None:
    prompt = ids_of(policy, "Why?")
    (free,), _ = run(DecodingBatch(policy, [prompt], sampling=Sampling(max_new_tokens=40), seeds=[9]))
    end = next(token for i, token in enumerate(free.token_ids) if i >= 5 and token not in free.token_ids[:i])
    policy.model.generation_config.eos_token_id = [0, end]
    (row,), _ = run(DecodingBatch(policy, [prompt], sampling=Sampling(max_new_tokens=40), seeds=[9]))
    assert row.finish_reason == "stop"
    assert row.token_ids == free.token_ids[: free.token_ids.index(end) + 1]
    assert free.text.startswith(row.text)
    assert len(row.text) < len(free.text)


def test_the_plain_template_ends_a_completion_where_the_human_would_speak(policy: Policy) -> None:
    policy.tokenizer.chat_template = PLAIN_TEMPLATE
    stops = [row.stream._stop for row in DecodingBatch(policy, [[5]], sampling=Sampling(), seeds=[0])._rows]
    assert stops == [("\n\nHuman:",)]


def test_a_row_ends_where_the_models_positions_end(policy: Policy) -> None:
    prompt = [10] * 250
    (row,), _ = run(DecodingBatch(policy, [prompt], sampling=Sampling(max_new_tokens=50), seeds=[2]))
    assert (row.tokens, row.finish_reason) == (6, "length")
    with pytest.raises(PromptTooLong, match="256 tokens; at most 255"):
        DecodingBatch(policy, [[10] * 256], sampling=Sampling(), seeds=[2])


@pytest.fixture
def shapes(policy: Policy) -> Iterator[list[tuple[int, int]]]:
    """(rows, tokens) of every forward pass."""
    seen: list[tuple[int, int]] = []
    hook = policy.model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    yield seen
    hook.remove()


def test_finished_rows_cost_nothing(policy: Policy, shapes: list[tuple[int, int]]) -> None:
    prompts = [ids_of(policy, text) for text in PROMPTS]
    settings = [Sampling(max_new_tokens=n) for n in (2, 12, 5, 2)]
    rows, _ = run(DecodingBatch(policy, prompts, sampling=settings, seeds=[1, 2, 3, 4]))
    assert [row.tokens for row in rows] == [2, 12, 5, 2]
    assert [rows for rows, _ in shapes] == [4] * 2 + [2] * 3 + [1] * 7


def test_rows_with_the_same_prompt_share_its_prefill(policy: Policy, shapes: list[tuple[int, int]]) -> None:
    short, long = ids_of(policy, "Hi"), ids_of(policy, PROMPTS[2])
    run(DecodingBatch(policy, [short, long, short, short], sampling=Sampling(max_new_tokens=2), seeds=[1, 2, 3, 4]))
    assert shapes == [(2, len(long)), (4, 1)]


def test_weights_that_are_not_a_number_are_an_error(policy: Policy) -> None:
    with torch.no_grad():
        policy.model.model.norm.weight[0] = float("nan")
    batch = DecodingBatch(policy, [[5, 6]], sampling=Sampling(), seeds=[0])
    with pytest.raises(NonFiniteLogits, match="not finite"):
        batch.step()


def test_generate_keeps_the_order_and_says_what_a_batch_of_one_says(policy: Policy) -> None:
    conversations = [asked(PROMPTS[i % 4] + "!" * (i % 3)) for i in range(11)]
    progress: list[tuple[int, int]] = []
    rows = generate(
        policy,
        conversations,
        sampling=Sampling(max_new_tokens=12),
        seeds=range(11),
        batch_size=4,
        on_progress=lambda done, all_: progress.append((done, all_)),
    )
    for i, row in enumerate(rows):
        (alone,) = generate(policy, [conversations[i]], sampling=Sampling(max_new_tokens=12), seeds=[i])
        assert alone.text == row.text
    assert progress[-1] == (11, 11)
    assert progress == sorted(progress)


def test_generate_stops_when_asked_and_returns_what_there_is(policy: Policy) -> None:
    asked_times = iter(range(1000))
    rows = generate(
        policy,
        [asked(text) for text in PROMPTS],
        sampling=Sampling(max_new_tokens=30),
        seeds=[1, 2, 3, 4],
        batch_size=2,
        should_stop=lambda: next(asked_times) >= 5,
    )
    assert sorted(row.tokens for row in rows) == [0, 0, 5, 5]
    assert {row.finish_reason for row in rows} == {"cancelled"}


def test_generate_is_without_dropout_and_leaves_a_training_model_training(policy: Policy) -> None:
    policy.model.train()
    policy.model.config.attention_dropout = 0.5
    for layer in policy.model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    first, second = (generate(policy, [asked("Hi")], sampling=Sampling(max_new_tokens=20), seeds=[1]) for _ in range(2))
    assert first == second
    assert policy.model.training


def test_an_adapter_generates_with_the_positions_of_its_base(policy: Policy) -> None:
    from peft import LoraConfig, get_peft_model

    prompts = [asked(text) for text in PROMPTS]
    plain = generate(policy, prompts, sampling=Sampling(max_new_tokens=12), seeds=[1, 2, 3, 4])
    adapted = get_peft_model(policy.model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    wrapped = Policy(adapted, policy.tokenizer, "digest")
    rows = generate(wrapped, prompts, sampling=Sampling(max_new_tokens=12), seeds=[1, 2, 3, 4])
    assert [row.text for row in rows] == [row.text for row in plain], "a fresh adapter changes nothing"
