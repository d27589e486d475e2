"""Rewards that give what a test says, prompts of one message, and tiny encoders with a vocabulary of words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.prompting import Messages
from trainer.rewards.composition import Composition, Scored
from trainer.rewards.configs import RewardSettings

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "mat", "good", "bad", "very", "film", "was", "is", "not"]
PLAIN = {"filters": {"script": False, "repetition": False, "shortest": 0}}


def asked(*contents: str) -> list[Messages]:
    """One prompt for each content."""
    return [[{"role": "user", "content": content}] for content in contents]


@dataclass
class Told:
    """Gives the values it was told for each completion's text; `seen` has every text it was asked about."""

    values: dict[str, Any]
    seen: list[str] = field(default_factory=list)

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        self.seen += completions
        return [self.values[text] for text in completions]


def composed(*rewards: Any, weights: Sequence[float] = (), **settings: Any) -> Composition:
    """A composition of these rewards, called a, b, c ..., without filters unless they are given."""
    terms = [
        {"kind": "length", "name": name, "weight": weight}
        for name, weight, _ in zip("abcdef", [*weights, *[1.0] * len(rewards)], rewards, strict=False)
    ]
    return Composition(RewardSettings.model_validate(PLAIN | {"rewards": terms} | settings), rewards)


def scored(composition: Composition, *texts: str, **named: Any) -> Scored:
    """The composition's view of these completions, each of a prompt without a reference."""
    return composition.score(asked(*["Say something."] * len(texts)), texts, [None] * len(texts), **named)


def word_tokenizer() -> Any:
    """A tokenizer of WORDS as BERT has them, with [CLS] and [SEP]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(special + WORDS)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    )


def bert_config(**more: Any) -> Any:
    """A BERT of one layer for WORDS."""
    from transformers import BertConfig

    return BertConfig(
        vocab_size=len(WORDS) + 4,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=1.0,
        pad_token_id=0,
        **more,
    )


def save_classifier(folder: Path, labels: Sequence[str], **more: Any) -> Path:
    """A random classifier of these labels, on disk."""
    import torch
    from transformers import BertForSequenceClassification

    torch.manual_seed(0)
    names = dict(enumerate(labels))
    model = BertForSequenceClassification(
        bert_config(id2label=names, label2id={name: number for number, name in names.items()}, **more)
    )
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder
