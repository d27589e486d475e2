"""Sequence classifiers as rewards, on a tiny random one."""

import math
from pathlib import Path

import pytest
import torch
from rewarding import asked, save_classifier

from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources
from trainer.rewards.opening import open_term

TEXTS = ["the cat sat on the mat", "a bad film", "very very good", "dog"]
LABELS = ["Negative", "Neutral", "Positive"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("classifier"), LABELS)


def values(folder: Path, *completions: str, prompt: str = "was it good", **options: object) -> list[float | None]:
    term = terms.Classifier.model_validate({"model": str(folder)} | options)
    reward = open_term(term, RewardSources(device="cpu"))
    return reward(asked(*[prompt] * len(completions)), completions, [None] * len(completions))


def test_the_probabilities_of_all_labels_add_up_to_1(folder: Path):
    found = [values(folder, *TEXTS, label=label) for label in LABELS]
    assert [sum(column) for column in zip(*found, strict=True)] == pytest.approx([1.0] * 4)
    assert len({round(value, 4) for value in found[2]}) == 4  # of four texts


def test_a_label_may_be_named_or_numbered(folder: Path):
    assert values(folder, *TEXTS, label="positive") == values(folder, *TEXTS, label="2")


def test_a_label_that_is_not_there_is_told_with_those_there_are(folder: Path):
    with pytest.raises(RewardError, match=r"no label 'toxic'.*0 \(Negative\), 1 \(Neutral\), 2 \(Positive\)"):
        values(folder, label="toxic")
    with pytest.raises(RewardError, match="has several labels"):
        values(folder)


def test_probabilities_are_the_softmax_of_the_logits(folder: Path):
    logits = [values(folder, "a bad film", label=label, form="logit")[0] for label in LABELS]
    whole = sum(math.exp(logit) for logit in logits)
    probability = values(folder, "a bad film", label="Neutral")[0]
    assert probability == pytest.approx(math.exp(logits[1]) / whole, abs=1e-6)


def test_a_completions_value_does_not_depend_on_its_batch(folder: Path):
    together = values(folder, *TEXTS, label="Positive")
    alone = values(folder, *TEXTS, label="Positive", batch_size=1)
    assert together == pytest.approx(alone, abs=1e-5)


def test_the_prompt_is_read_where_it_is_asked_for(folder: Path):
    read = [values(folder, "a dog", prompt=p, label="Positive", with_prompt=True)[0] for p in ("the cat", "very bad")]
    ignored = [values(folder, "a dog", prompt=p, label="Positive")[0] for p in ("the cat", "very bad")]
    assert read[0] != pytest.approx(read[1], abs=1e-4)
    assert ignored[0] == ignored[1]


def test_a_text_beyond_the_models_positions_is_cut_at_its_end(folder: Path):
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "ran"] * 20
    assert values(folder, " ".join(words), label="0") == values(folder, " ".join(words[:40]), label="0")


def test_labels_that_exclude_nothing_have_a_sigmoid_each(tmp_path: Path):
    save_classifier(tmp_path, LABELS, problem_type="multi_label_classification")
    logit = values(tmp_path, "a bad film", label="1", form="logit")[0]
    assert values(tmp_path, "a bad film", label="1")[0] == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-6)


def test_a_decoder_without_padding_scores_an_empty_completion_as_none(tiny_model_dir: Path, tmp_path: Path):
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(0)
    config = LlamaConfig.from_pretrained(tiny_model_dir, num_labels=1, pad_token_id=None)
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(tmp_path)
    found = values(tmp_path, "one", "", "another text", form="logit")
    assert found[1] is None and found[0] != found[2]
    assert found[0] == pytest.approx(values(tmp_path, "one", form="logit")[0], abs=1e-6)
