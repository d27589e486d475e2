"""Cosines of sentence embeddings: by a tiny random model, and by the bundled one."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rewarding import asked, bert_config, word_tokenizer

from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources
from trainer.rewards.opening import open_term
from trainer.rewards.similarity import Similarity

ON_CPU = RewardSources(device="cpu")


class Counting:
    """Embeds a text as the counts of its letters a and b, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def encode(self, texts: list[str], **_: object) -> NDArray[np.float32]:
        self.given.append(texts)
        counts = np.array([[text.count("a"), text.count("b")] for text in texts], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertModel

    backbone = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    BertModel(bert_config()).save_pretrained(backbone)
    word_tokenizer().save_pretrained(backbone)
    folder = tmp_path_factory.mktemp("encoder")
    SentenceTransformer(modules=[models.Transformer(str(backbone)), models.Pooling(16)], device="cpu").save(str(folder))
    return folder


def values(reward: object, *pairs: tuple[str, str | None]) -> list[float | None]:
    completions, references = zip(*pairs, strict=True)
    return reward(asked(*["Say it."] * len(pairs)), completions, references)  # type: ignore[operator]


def test_it_is_the_cosine_of_the_two_embeddings():
    found = values(Similarity(Counting()), ("aab", "aab"), ("a", "b"), ("aaab", "aabbb"))
    assert found == pytest.approx([1.0, 0.0, 9 / (10**0.5 * 13**0.5)], abs=1e-6)


def test_without_a_reference_there_is_no_value_and_nothing_is_embedded():
    encoder = Counting()
    assert values(Similarity(encoder), ("a", None)) == [None]
    assert encoder.given == []


def test_a_text_is_embedded_once_however_often_it_occurs():
    encoder = Counting()
    assert values(Similarity(encoder), ("ab", "a"), ("b", None), ("ab", "a"), ("a", "a"))[1] is None
    assert encoder.given == [["ab", "a"]]


def test_any_sentence_transformers_folder_can_be_named(tiny_encoder: Path):
    reward = open_term(terms.Similarity(model=str(tiny_encoder)), ON_CPU)
    same, other = values(reward, ("the cat sat", "the cat sat"), ("the cat sat", "a very bad film"))
    assert same == pytest.approx(1.0, abs=1e-5)
    assert other is not None and other < 0.99


def test_a_model_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(RewardError, match=r"similarity cannot be opened.*absent"):
        open_term(terms.Similarity(model=str(tmp_path / "absent")), ON_CPU)


def test_the_bundled_model_puts_paraphrases_between_equal_and_unrelated_texts():
    reward = open_term(terms.Similarity(), ON_CPU)
    said = "The cat sits on the mat."
    same, paraphrase, unrelated = values(
        reward, (said, said), ("A cat is sitting on a mat.", said), ("Share prices fell on Monday.", said)
    )
    assert same == pytest.approx(1.0, abs=1e-5)
    assert paraphrase is not None and unrelated is not None
    assert paraphrase > 0.8 > 0.3 > unrelated
