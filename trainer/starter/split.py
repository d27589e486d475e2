"""Which split a question belongs to, by the SHA-256 of its group key.

A group key names the identity of a question ("capital:france"), so that all its paraphrases fall on one side.
The corpus leaves out every question whose key is held out; the packaged prompts record the same split.
"""

from hashlib import sha256
from typing import Literal

Split = Literal["train", "validation", "heldout"]

TRAIN_PERCENT = 60
VALIDATION_PERCENT = 10  # the remaining 30 per cent are held out


def split_of(group: str) -> Split:
    """The split of a group key; the same on every machine and for ever.

    Take the first eight bytes of the SHA-256 of the UTF-8 key as a big-endian integer, modulo 100.
    """
    bucket = int.from_bytes(sha256(group.encode("utf-8")).digest()[:8], "big") % 100
    if bucket < TRAIN_PERCENT:
        return "train"
    if bucket < TRAIN_PERCENT + VALIDATION_PERCENT:
        return "validation"
    return "heldout"


def is_heldout(group: str) -> bool:
    """True when the corpus must not contain this question."""
    return split_of(group) == "heldout"
