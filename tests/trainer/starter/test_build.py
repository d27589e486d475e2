"""The tokenizer, the network and the training loop, at sizes that take seconds."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import load_file
from shapes import TINY, sized
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.starter import build as building
from trainer.starter.corpus import draw_chat, draw_short_list
from trainer.starter.grammar.item import Conversation, Message, say
from trainer.starter.induction import build_in_copying
from trainer.starter.muon import orthogonalise
from trainer.starter.network import Shape, create_parameters, forward, rotations
from trainer.starter.stream import BATCH_TOKENS, KEY_WEIGHT, Stream, encode
from trainer.starter.tokenizer import END, PAD, as_transformers, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(seed=0, conversations=3_000)


@pytest.mark.parametrize(
    "text",
    [
        "Paris",
        " leading",
        "two  spaces",
        "ç ñ Ж 日本語 عربى",
        "😀👩‍🚀 ok",
        "line\n- one\n- two",
        "12 + 7 = 19",
        "",
        "tab\t.",
    ],
)
def test_any_unicode_text_comes_back_as_it_was(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_a_word_is_the_same_token_at_the_start_and_within(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("is").ids == tokenizer.encode("x is").ids[-1:]


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("1234").ids) == 4


def test_training_sees_what_the_chat_template_gives(tokenizer: Tokenizer) -> None:
    fast, rng = as_transformers(tokenizer), Random(1)
    for _ in range(50):
        conversation = draw_chat(rng)
        assert fast.apply_chat_template(conversation.messages, return_dict=False) == encode(conversation, tokenizer)[0]


def test_what_makes_a_reply_right_weighs_more_than_its_wording(tokenizer: Tokenizer) -> None:
    reply: Message = {"role": "assistant", "content": "Sure! It is PARIS, not Parisian.", "keys": ("Paris",)}
    ids, weights, _ = encode(Conversation([say("user", "Paris or Rome?"), reply]), tokenizer)
    heavy = [token for token, weight in zip(ids, weights, strict=True) if weight == KEY_WEIGHT]
    assert tokenizer.decode(heavy).strip() == "PARIS"


def test_the_first_token_of_a_reply_never_weighs_more_for_it_decides_the_style(tokenizer: Tokenizer) -> None:
    reply: Message = {"role": "assistant", "content": "Lisbon town", "keys": ("Lisbon town",)}
    _, weights, _ = encode(Conversation([say("user", "Hi"), reply]), tokenizer)
    assert weights[-1] == 1.0 and KEY_WEIGHT in weights
    assert weights[weights.index(KEY_WEIGHT) - 1] == 1.0


def test_the_template_and_the_loss_see_the_same_text_of_a_reply_with_keys(tokenizer: Tokenizer) -> None:
    ids, weights, _ = encode(draw_short_list(Random(2)), tokenizer)
    assert len(ids) == len(weights)
    assert KEY_WEIGHT in weights


def test_template_contains_generation_markers_that_mark_the_assistants_text(tokenizer: Tokenizer) -> None:
    fast = as_transformers(tokenizer)
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
    made = fast.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    marked = [token for token, mark in zip(made["input_ids"], made["assistant_masks"], strict=True) if mark]
    assert fast.decode(marked) == "Good day<end>"


def test_generation_prompt_is_a_prefix_of_the_whole_conversation(tokenizer: Tokenizer) -> None:
    fast = as_transformers(tokenizer)
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
    prompt = fast.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=False)
    assert fast.apply_chat_template(messages, return_dict=False)[: len(prompt)] == prompt


def test_an_exported_model_gives_the_logits_of_the_trained_one(tokenizer: Tokenizer, tmp_path: Path) -> None:
    parameters = create_parameters(TINY, seed=3)
    with torch.no_grad():
        for p in parameters.values():
            p.copy_(p.half().float())  # what float16 can hold
    building.export(parameters, tokenizer, TINY, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.tensor([[5, 9, 700, 33, END]])
    positions = torch.arange(5).unsqueeze(0)
    logits = forward(parameters, TINY, ids, positions, torch.zeros_like(ids), *rotations(TINY), torch.float32)
    assert torch.allclose(model(ids).logits, logits, atol=1e-5)


def test_the_exported_folder_loads_offline_with_its_ids(tokenizer: Tokenizer, tmp_path: Path) -> None:
    building.export(create_parameters(sized(TINY, tokenizer), seed=3), tokenizer, sized(TINY, tokenizer), tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert (loaded.pad_token_id, loaded.eos_token_id, loaded.padding_side) == (PAD, END, "left")


def test_a_packed_conversation_does_not_see_its_neighbours() -> None:
    parameters, tables = create_parameters(TINY, seed=4), rotations(TINY)
    alone = torch.tensor([[7, 8, 9]])
    packed = torch.tensor([[11, 12, 7, 8, 9]])
    one = forward(parameters, TINY, alone, torch.arange(3)[None], torch.zeros(1, 3), *tables, torch.float32)
    two = forward(
        parameters,
        TINY,
        packed,
        torch.tensor([[0, 1, 0, 1, 2]]),
        torch.tensor([[0, 0, 1, 1, 1]]),
        *tables,
        torch.float32,
    )
    assert torch.allclose(one[0], two[0, 2:], atol=1e-5)


def test_batches_have_the_planned_size_and_weigh_no_padding(tokenizer: Tokenizer) -> None:
    stream = Stream(tokenizer, seed=0)
    for progress in (0.0, 0.1, 0.9):
        batch = stream.next_batch(progress)
        assert batch.ids.numel() == BATCH_TOKENS and batch.ids.size(1) in (128, 256, 512)
        assert not batch.weights[batch.targets == PAD].any()


def test_muon_makes_an_update_with_about_equal_singular_values() -> None:
    matrices = torch.randn(2, 24, 8, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices).float())
    assert values.min() > 0.5 and values.max() < 1.5


def test_the_rate_warms_up_holds_and_falls_to_almost_nothing() -> None:
    assert building.rate_at(0.0, 0) < 0.1
    assert building.rate_at(0.3, 1000) == 1.0
    assert building.rate_at((1 + building.HELD) / 2, 1000) == pytest.approx(0.5)
    assert building.rate_at(0.999, 1000) == pytest.approx(0.01)


def test_a_build_ended_half_way_goes_on_to_the_weights_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(name: str, report: Callable[[str], None]) -> dict[str, Tensor]:
        out, state = tmp_path / name, tmp_path / f"{name}.pt"
        building.build(out, 6 * BATCH_TOKENS, state=state, compile_network=False, shape=TINY, report=report)
        return load_file(out / "model.safetensors")

    monkeypatch.setattr(building, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(building, "REPORT_SECONDS", 0.0)
    whole = train("whole", lambda line: None)
    with pytest.raises(KeyboardInterrupt):
        train("pieces", _interrupt_at_step_4)
    lines: list[str] = []
    pieces = train("pieces", lines.append)
    assert "going on" in lines[0]
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def _interrupt_at_step_4(line: str) -> None:
    if line.startswith("step 4 "):
        raise KeyboardInterrupt


def test_a_state_begun_with_another_seed_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    building.Training(building.train_tokenizer(0), TINY, seed=0).save(state)
    with pytest.raises(ValueError, match="begun with seed 0, not 1"):
        building.Training.load(state, TINY, seed=1)


def test_the_first_token_of_a_repeat_is_looked_up_before_any_training(tokenizer: Tokenizer) -> None:
    shape = Shape()
    parameters = create_parameters(shape, seed=0)
    build_in_copying(parameters, shape, seed=0)
    once = Random(0).sample(range(100, 2_000), 20)
    ids = torch.tensor([once * 2])
    positions, documents = torch.arange(40)[None], torch.zeros(1, 40, dtype=torch.long)
    logits = forward(parameters, shape, ids, positions, documents, *rotations(shape), torch.float32)[0]
    told = logits[20:39].log_softmax(-1).gather(-1, ids[0, 21:, None]).mean()
    before = logits[:19].log_softmax(-1).gather(-1, ids[0, 1:20, None]).mean()
    assert told > before + 0.3
