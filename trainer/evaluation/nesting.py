"""Which prompts a smaller evaluation uses of a larger one: the first 100 are part of the 200. Free of torch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar


class HasMessages(Protocol):
    @property
    def messages(self) -> Sequence[Mapping[str, str]]: ...


Asked = TypeVar("Asked", bound=HasMessages)


def nested(prompts: Sequence[Asked], count: int) -> list[Asked]:
    """The first `count` in an order fixed by each prompt's own hash, so that smaller sets lie within larger ones."""
    return sorted(prompts, key=lambda p: hashlib.sha256(json.dumps(p.messages).encode()).digest())[:count]
