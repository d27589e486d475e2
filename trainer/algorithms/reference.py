"""Log-probabilities of completions under a frozen reference: computed once, kept, and checked.

Training never runs the reference model: its log-probabilities depend only on the tokens, the weights, the
template and the truncation, so they are computed before the first step and kept by the caller under those four.
Leaves out how they are kept (`trainer/stored_references.py`) and the losses that use them.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

from trainer.algorithms.callbacks import InvariantViolated
from trainer.algorithms.start import Start
from trainer.examples import Pair, encode
from trainer.policy import Policy
from trainer.reporter import Reporter
from trainer.tensors import completion_logprobs, completion_token_logprobs

SAMPLE = 16  # rows computed anew in every run, to see whether what was kept still holds


class ReferenceKey(NamedTuple):
    """What a reference log-probability depends on: SHA-256 of the very tokens scored, of the weights (with their
    precision) and of the chat template; and the limit on tokens."""

    completion: str
    reference: str
    template: str
    max_length: int


class ReferenceStore(Protocol):
    """Where reference log-probabilities (nats) are kept between runs. `get` returns those it has."""

    def get(self, keys: Sequence[ReferenceKey]) -> Mapping[ReferenceKey, float]: ...

    def put(self, values: Mapping[ReferenceKey, float]) -> None: ...


@dataclass(frozen=True)
class Row:
    """One completion with its prompt as token ids, and the key of its reference log-probability."""

    prompt: list[int]
    completion: list[int]
    key: ReferenceKey


def make_row(prompt: list[int], completion: list[int], *, reference: Policy, max_length: int) -> Row:
    precision = str(reference.model.dtype).removeprefix("torch.")
    key = ReferenceKey(
        completion=hashlib.sha256(f"{prompt}{completion}".encode()).hexdigest(),
        reference=f"{reference.digest}:{precision}",
        template=hashlib.sha256(str(reference.tokenizer.chat_template).encode()).hexdigest(),
        max_length=max_length,
    )
    return Row(prompt, completion, key)


def pair_rows(examples: Sequence[Pair], start: Start, *, max_length: int, reporter: Reporter) -> list[tuple[Row, Row]]:
    """(chosen, rejected) of each pair as token ids; says how many had to be shortened."""
    rows: list[tuple[Row, Row]] = []
    shortened = 0
    for pair in examples:
        sides = [pair.chosen, pair.rejected]
        prompt, completions, short = encode(start.base.tokenizer, pair.prompt, sides, max_length=max_length)
        chosen, rejected = (
            make_row(prompt, ids, reference=start.reference, max_length=max_length) for ids in completions
        )
        rows.append((chosen, rejected))
        shortened += short
    if shortened:
        reporter.log(f"{shortened} of {len(examples)} pairs were shortened to {max_length} tokens")
    return rows


def reference_logprobs(
    rows: Sequence[Row], reference: Policy, *, store: ReferenceStore | None, batch_size: int, seed: int
) -> dict[ReferenceKey, float]:
    """Log-probability (nats) of every row under the reference: those in the store, the others computed and put there.

    A sample of the rows is always computed anew, in other company. Raises InvariantViolated where that differs.
    """
    known = dict(store.get([row.key for row in rows])) if store is not None else {}
    new = _score([row for row in rows if row.key not in known], reference, batch_size=batch_size)
    if store is not None and new:
        store.put(new)
    known |= new
    sample = random.Random(seed).sample(list(rows), min(SAMPLE, len(rows)))
    for key, again in _score(sample, reference, batch_size=batch_size).items():
        if not abs(known[key] - again) <= allowed_difference(reference.model, again):
            raise InvariantViolated(
                f"a kept reference log-probability is {known[key]:.5f} and computing it again gives {again:.5f} nats "
                f"(completion {key.completion[:12]}…); remove what is kept for reference {key.reference[:12]}…"
            )
    return known


def reference_token_logprobs(
    rows: Sequence[Row], reference: Policy, *, batch_size: int, seed: int
) -> dict[ReferenceKey, list[float]]:
    """Log-probability (nats) of every token of every row under the reference: of this run only, what is kept are sums.

    A sample of the rows is computed again, in other company. Raises InvariantViolated where a token's value differs.
    """
    found = _score_tokens(rows, reference, batch_size=batch_size)
    sample = random.Random(seed).sample(list(rows), min(SAMPLE, len(rows)))
    for key, again in _score_tokens(sample, reference, batch_size=batch_size).items():
        for one, other in zip(found[key], again, strict=True):
            if not abs(one - other) <= allowed_difference(reference.model, other):
                raise InvariantViolated(
                    f"a token's reference log-probability is {one:.5f} nats in one batch and {other:.5f} in another "
                    f"(completion {key.completion[:12]}…): rows of this model depend on what they are padded with"
                )
    return found


def _score_tokens(rows: Sequence[Row], reference: Policy, *, batch_size: int) -> dict[ReferenceKey, list[float]]:
    unique = {row.key: (row.prompt, row.completion) for row in rows}
    model, pad_id = reference.model, reference.tokenizer.pad_token_id
    with autocast(model.device):
        found = completion_token_logprobs(model, list(unique.values()), pad_id=pad_id, batch_size=batch_size)
    return dict(zip(unique, found, strict=True))


def _score(rows: Sequence[Row], reference: Policy, *, batch_size: int) -> dict[ReferenceKey, float]:
    """Log-probability of each row in the Trainer's precision."""
    unique = {row.key: (row.prompt, row.completion) for row in rows}
    model, pad_id = reference.model, reference.tokenizer.pad_token_id
    with autocast(model.device):
        found = completion_logprobs(model, list(unique.values()), pad_id=pad_id, batch_size=batch_size)
    return dict(zip(unique, found, strict=True))


def allowed_difference(model: Any, logprob: float) -> float:
    """Nats by which one log-probability may differ between two batches, by rounding alone.

    0.001 and a part in 100,000 in float32; bfloat16 has eight bits of mantissa, so 0.05 and two parts in 100.
    """
    exact = model.dtype == torch.float32 and model.device.type == "cpu"
    return 1e-3 + 1e-5 * abs(logprob) if exact else 0.05 + 0.02 * abs(logprob)


def autocast(device: torch.device) -> torch.autocast:
    """The precision the Trainer computes in, so that policy and reference round alike."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
