"""Samples of the held-out prompts: the same seeds and settings for every model, kept on disk once made.

A model that is served was a candidate before, and the initial model never changes, so most gates only sample the
newcomer. The file's name is the digest of everything that shapes it; a changed weight is another file.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.prompting import Messages, fit_messages, position_limit
from trainer.reporter import Stopped
from trainer.sampling import Generated, Sampling

if TYPE_CHECKING:
    from trainer.policy import Policy

SAMPLES = 4  # a side and prompt: sixteen pairings
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=160)


@dataclass(frozen=True)
class HeldoutPrompt:
    """A prompt of the gate; tags and reference shape no sample."""

    id: int
    messages: Messages
    tags: tuple[str, ...] = ()
    reference: str | None = None


def sample(
    policy: "Policy",
    prompts: Sequence[HeldoutPrompt],
    *,
    folder: Path,
    on_progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> list[Generated]:
    """SAMPLES completions for each prompt, in order, prompt by prompt; read from `folder` where they were made before.

    The seed of the k-th sample depends on the prompt and k alone. Raises Stopped once `should_stop()` is true.
    """
    path = folder / f"{_key(policy, prompts)}.jsonl"
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Generated(**{**row, "token_ids": tuple(row["token_ids"])}) for row in map(json.loads, lines)]
    from trainer.generation import generate  # torch, only where there is something to sample

    made = generate(
        policy,
        [p.messages for p in prompts for _ in range(SAMPLES)],
        sampling=SAMPLING,
        seeds=[seed_of(p.messages, k) for p in prompts for k in range(SAMPLES)],
        on_progress=on_progress,
        should_stop=should_stop,
    )
    if should_stop():
        raise Stopped("stopped while the held-out prompts were sampled")
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    partial.write_text("".join(json.dumps(asdict(g)) + "\n" for g in made), encoding="utf-8")
    partial.replace(path)
    return made


def is_sampled(policy: "Policy", prompts: Sequence[HeldoutPrompt], *, folder: Path) -> bool:
    """Whether `sample` would only read."""
    return (folder / f"{_key(policy, prompts)}.jsonl").exists()


def fit_prompt(policy: "Policy", prompt: HeldoutPrompt) -> list[int]:
    """The prompt's token ids as `sample` gives them to the model. Raises PromptTooLong and PromptRefused."""
    return fit_messages(
        policy.tokenizer,
        prompt.messages,
        max_positions=position_limit(policy.model),
        max_new_tokens=SAMPLING.max_new_tokens,
    )


def seed_of(messages: Sequence[Mapping[str, str]], k: int) -> int:
    """The seed of a prompt's k-th sample, whoever writes it."""
    digest = hashlib.sha256(f"{k}:{json.dumps([dict(turn) for turn in messages])}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _key(policy: "Policy", prompts: Sequence[HeldoutPrompt]) -> str:
    shape = [policy.digest, asdict(SAMPLING), SAMPLES, [p.messages for p in prompts]]
    return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:32]
