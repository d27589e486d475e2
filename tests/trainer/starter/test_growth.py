"""A trained model taken over into a larger network says what it said before; emoji become one token each."""

from pathlib import Path

import pytest
import torch
from shapes import TINY, sized
from tokenizers import Tokenizer

from trainer.starter import build as building
from trainer.starter.growth import EMBEDDINGS, take_over
from trainer.starter.network import Parameters, Shape, create_parameters, forward, rotations
from trainer.starter.tokenizer import corpus_emoji, train_tokenizer, with_whole

LARGE = Shape(width=16, layers=4, heads=2, hidden=32)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(seed=0, conversations=2_000)


def logits(parameters: Parameters, shape: Shape) -> torch.Tensor:
    ids = torch.arange(5, 45).unsqueeze(0)
    positions = torch.arange(40).unsqueeze(0)
    return forward(parameters, shape, ids, positions, torch.zeros_like(ids), *rotations(shape), torch.float32)


def test_new_layers_change_nothing_at_first(tokenizer: Tokenizer) -> None:
    small, large = sized(TINY, tokenizer), sized(LARGE, tokenizer)
    given, parameters = create_parameters(small, 1), create_parameters(large, 2)
    take_over(parameters, given, tokenizer)
    assert torch.equal(logits(parameters, large), logits(given, small))


def test_new_layers_learn(tokenizer: Tokenizer) -> None:
    large = sized(LARGE, tokenizer)
    parameters = create_parameters(large, 2)
    take_over(parameters, create_parameters(sized(TINY, tokenizer), 1), tokenizer)
    logits(parameters, large).square().mean().backward()  # type: ignore[no-untyped-call]
    grad = parameters["model.layers.3.self_attn.o_proj.weight"].grad
    assert grad is not None and bool(grad.any())


def test_every_emoji_of_the_corpus_is_one_token(tokenizer: Tokenizer) -> None:
    emoji = corpus_emoji()
    assert len(emoji) > 100 and "🙂" in emoji
    assert [word for word in emoji if len(tokenizer.encode(word).ids) != 1] == []


def test_whole_emoji_leave_ids_and_other_texts_as_they_were(tokenizer: Tokenizer) -> None:
    larger = with_whole(tokenizer, ["🦥"])
    assert larger.get_vocab().items() > tokenizer.get_vocab().items()
    text = "Sure! 🙂 The capital of France is Paris, 12 + 7. 🦦"
    assert larger.encode(text).ids == tokenizer.encode(text).ids
    assert larger.decode(larger.encode(f"Slow 🦥 {text}").ids) == f"Slow 🦥 {text}"


def test_a_new_token_begins_as_the_mean_of_its_two_parts(tokenizer: Tokenizer) -> None:
    larger = with_whole(tokenizer, ["🦥"])
    given, parameters = create_parameters(sized(TINY, tokenizer), 1), create_parameters(sized(TINY, larger), 2)
    take_over(parameters, given, larger)
    parts = tokenizer.encode("🦥").ids
    row = given[EMBEDDINGS][parts[0]]
    for part in parts[1:]:
        row = (row + given[EMBEDDINGS][part]) / 2
    assert torch.allclose(parameters[EMBEDDINGS][larger.encode("🦥").ids[0]], row)


def test_another_width_is_refused_with_the_folder_and_the_parameter(tokenizer: Tokenizer, tmp_path: Path) -> None:
    other = sized(Shape(width=32, layers=2, heads=2, hidden=32), tokenizer)
    building.export(create_parameters(other, 0), tokenizer, other, tmp_path)
    with pytest.raises(ValueError, match=f"{tmp_path.name} cannot be trained further: the weights' model.embed_tokens"):
        building.Training.begin(TINY, 0, building.chat_recipe(further=True), tmp_path)


def test_more_layers_than_the_network_has_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match=r"model\.layers\.2"):
        take_over(
            create_parameters(sized(TINY, tokenizer), 0), create_parameters(sized(LARGE, tokenizer), 0), tokenizer
        )
