"""The starter's tokenizer: byte-level BPE with 2,048 entries trained on the corpus itself, and its emoji after those.

Ids 0 to 4 are <pad>, <end>, <system>, <user>, <assistant>. Every emoji of the corpus is one token: sampled in pieces
they came out broken. A turn is its role, its text and <end>. A space is put
before every text and taken away when decoding, so that "Anna" is one token at the start of a text and within it.
Digits stand alone. Text comes back byte for byte, whatever its script.
"""

import json
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from trainer.starter.corpus import draw_chat, draw_drill, draw_grounded
from trainer.starter.grammar.item import Conversation

VOCABULARY = 2048  # without the emoji
PAD, END, SYSTEM, USER, ASSISTANT = range(5)
SPECIAL = ("<pad>", "<end>", "<system>", "<user>", "<assistant>")
ROLE_IDS = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
MAX_POSITIONS = 512

_PIECES = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "<assistant>{% generation %}{{- message['content'] + '<end>' -}}{% endgeneration %}"
    "{%- elif message['role'] in ('system', 'user') -%}"
    "{{- '<' + message['role'] + '>' + message['content'] + '<end>' -}}"
    "{%- else -%}{{- raise_exception('unknown role: ' + message['role']) -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<assistant>{%- endif -%}"
)


def train_tokenizer(seed: int = 0, conversations: int = 30_000) -> Tokenizer:
    """A tokenizer fitted to draws of the corpus; the same seed gives the same one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    tokenizer.train_from_iterator(
        _texts(seed, conversations),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=list(SPECIAL),
            show_progress=False,
            min_frequency=2,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return with_whole(tokenizer, corpus_emoji())


def _texts(seed: int, conversations: int) -> list[str]:
    rng = Random(seed)

    def drawn() -> Conversation:
        chance = rng.random()
        return draw_chat(rng) if chance < 0.75 else draw_grounded(rng) if chance < 0.95 else draw_drill(rng)

    return [message["content"] for _ in range(conversations) for message in drawn().messages]


@cache
def corpus_emoji() -> tuple[str, ...]:
    """Every emoji that stands as a word of its own in 100,000 draws of the corpus, sorted."""
    rng = Random(0)
    words = {word for _ in range(100_000) for message in draw_chat(rng).messages for word in message["content"].split()}
    return tuple(sorted(word for word in words if all(unicodedata.category(c) in {"So", "Mn"} for c in word)))


def with_whole(tokenizer: Tokenizer, words: Iterable[str]) -> Tokenizer:
    """The tokenizer with one token for each word (and for the beginnings that lead to it); ids there are stay.

    The merges come last in rank, so no other text is encoded otherwise than before.
    """
    made = json.loads(tokenizer.to_str())
    vocabulary, merges = made["model"]["vocab"], made["model"]["merges"]
    for word in words:
        whole, *rest = tokenizer.encode(word).tokens
        for piece in rest:
            if whole + piece not in vocabulary:
                vocabulary[whole + piece] = len(vocabulary)
                merges.append([whole, piece])
            whole += piece
    return Tokenizer.from_str(json.dumps(made))


def as_transformers(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as `AutoTokenizer` loads it, with the chat template and left padding."""
    fast: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<end>",
        padding_side="left",
        model_max_length=MAX_POSITIONS,
        additional_special_tokens=["<system>", "<user>", "<assistant>"],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    return fast


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the tokenizer's files into the folder."""
    as_transformers(tokenizer).save_pretrained(str(folder))
