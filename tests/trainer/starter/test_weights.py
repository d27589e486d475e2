"""The packaged weights: they load offline, are small, and answer as the model card says."""

from functools import cache
from pathlib import Path

import pytest
from transformers import AutoConfig

from trainer.starter import JUDGE_WEIGHTS, WEIGHTS
from trainer.starter.check import is_right, is_well_formed, packaged_prompts
from trainer.starter.grammar.recognise import STYLE_NAMES, recognise
from trainer.starter.judge.measure import heldout_pairs, hits_of
from trainer.starter.judge.pairs import Kind
from trainer.starter.judge.reading import Judge
from trainer.starter.prompts import Prompt
from trainer.starter.sampler import MAX_NEW_TOKENS, Sampler

SAMPLED = 600  # prompts: a share is then known to 2 points


@cache
def _sampled(temperature: float) -> list[tuple[Prompt, str]]:
    prompts = [prompt for prompt in packaged_prompts() if prompt["split"] == "train"][:SAMPLED]
    texts = Sampler(WEIGHTS).complete([prompt["messages"] for prompt in prompts], temperature)
    return list(zip(prompts, texts, strict=True))


@pytest.mark.parametrize("folder", [WEIGHTS, JUDGE_WEIGHTS], ids=["chat", "judge"])
def test_weights_are_smaller_than_10_megabytes(folder: Path) -> None:
    assert (folder / "model.safetensors").stat().st_size < 10_000_000


@pytest.mark.parametrize(("kind", "least"), [("broken", 0.9), ("wrong", 0.65), ("style", 0.8)])
def test_the_judge_reads_most_pairs_as_they_were_made(kind: Kind, least: float) -> None:
    pairs = heldout_pairs(kind, 100, 0)
    judged = Judge(JUDGE_WEIGHTS).judge([(pair.question.messages, pair.a, pair.b) for pair in pairs])
    hits = [hit for pair, both in zip(pairs, judged, strict=True) for hit in hits_of(pair.verdict, both)]
    assert sum(hits) / len(hits) > least


def test_weights_are_a_llama_with_512_positions() -> None:
    config = AutoConfig.from_pretrained(WEIGHTS, local_files_only=True)
    assert (config.model_type, config.max_position_embeddings, config.vocab_size) == ("llama", 512, 2048)


def test_greedy_replies_to_train_prompts_are_mostly_right() -> None:
    sampled = _sampled(0.0)
    assert sum(is_right(prompt["messages"], text) is True for prompt, text in sampled) / len(sampled) > 0.7


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_replies_are_well_formed(temperature: float) -> None:
    sampled = _sampled(temperature)
    assert sum(is_well_formed(text) for _, text in sampled) / len(sampled) > 0.95


@pytest.mark.parametrize("style", STYLE_NAMES)
def test_each_style_is_at_least_8_percent_of_what_people_are_shown(style: str) -> None:
    plain = [text for prompt, text in _sampled(1.0) if "system" not in prompt["tags"]]
    assert sum(recognise(text) == style for text in plain) / len(plain) >= 0.08


def test_a_list_of_30_long_titles_of_known_words_fits_into_the_positions() -> None:
    titles = "\n".join(f"{number}. The Silver River of Anna and Tom" for number in range(1, 31))
    messages = [{"role": "user", "content": f"Which one should I take?\n{titles}"}]
    ids = Sampler(WEIGHTS).tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert len(ids) < 512 - MAX_NEW_TOKENS
