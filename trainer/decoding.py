"""One decoding step, shared by the serving engine and by everything the trainer generates.

A `DecodingBatch` holds the rows of one call on one model. Each row has its own sampling settings, its own stop
strings and its own random numbers, so that what a row says depends on its prompt, settings and seed, never on
its neighbours (in float32, up to probabilities that differ by rounding only). Leaves out: threads, queues and leases
(`app/serving/`), whole completions of many conversations (`trainer/generation.py`), the prompt
(`trainer/prompting.py`), the draw (`trainer/sampling.py`) and the text of tokens (`trainer/text_stream.py`).

Shapes: B live rows, T positions of the longest row so far, V vocabulary.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from trainer.drawing import draw, uniforms
from trainer.policy import PLAIN_STOP, PLAIN_TEMPLATE, Policy
from trainer.prompting import PromptTooLong, position_limit
from trainer.sampling import FinishReason, Generated, Sampling
from trainer.text_stream import TextStream


@dataclass(frozen=True)
class RowUpdate:
    """What one step did to one row: its new text (may be empty), and the whole of it once finished."""

    row: int
    text: str
    generated: Generated | None


@dataclass
class _Row:
    index: int
    sampling: Sampling
    limit: int
    stream: TextStream
    text: list[str] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    logprob: float = 0.0

    def take(self, token: int, logprob: float, ends: frozenset[int]) -> RowUpdate:
        self.token_ids.append(token)
        self.logprob += logprob
        if token in ends:
            return self.finish("stop")
        piece = self.stream.push(token)
        self.text.append(piece)
        if self.stream.stopped or len(self.token_ids) >= self.limit:
            return self.finish("stop" if self.stream.stopped else "length", piece)
        return RowUpdate(self.index, piece, None)

    def finish(self, reason: FinishReason, piece: str = "") -> RowUpdate:
        last = self.stream.finish()
        self.text.append(last)
        generated = Generated("".join(self.text), tuple(self.token_ids), reason, self.logprob, len(self.token_ids))
        return RowUpdate(self.index, piece + last, generated)


class DecodingBatch:
    """Rows on one model, advanced together, one token a step. Not thread-safe; no work is done before the first step.

    prompts: token ids, one list a row, none empty; sampling: one for all, or one a row; seeds: one a row. Rows with
    the same prompt share its prefill; finished rows leave the cache, so that the long ones do not pay for them.
    Raises PromptTooLong where a prompt fills all positions of the model.
    """

    def __init__(
        self,
        policy: Policy,
        prompts: Sequence[Sequence[int]],
        *,
        sampling: Sampling | Sequence[Sampling],
        seeds: Sequence[int],
    ) -> None:
        settings = [sampling] * len(prompts) if isinstance(sampling, Sampling) else list(sampling)
        if not prompts or not len(prompts) == len(settings) == len(seeds):
            raise ValueError(
                f"{len(prompts)} prompts, {len(settings)} sampling settings and {len(seeds)} seeds were given; "
                "give one of each per row, and at least one row"
            )
        self._model: Any = policy.model
        self._ends = end_ids(policy)
        self._inputs = _forward_inputs(policy.model)
        self._prompts = [tuple(prompt) for prompt in prompts]
        self._pad = policy.tokenizer.pad_token_id or 0
        self._rows = [
            _open_row(i, policy, prompt, setting)
            for i, (prompt, setting) in enumerate(zip(self._prompts, settings, strict=True))
        ]
        device = policy.model.device
        self._temperature = torch.tensor([s.temperature for s in settings], dtype=torch.float32, device=device)
        self._top_p = torch.tensor([s.top_p for s in settings], dtype=torch.float32, device=device)
        self._uniforms = uniforms([row.limit for row in self._rows], seeds).to(device)
        self._cache: DynamicCache | None = None
        self._mask: torch.Tensor | None = None  # (B, T) where rows are padded, else None
        self._positions: torch.Tensor | None = None  # (B, 1) where rows are padded, else None
        self._last: torch.Tensor | None = None  # (B, 1) tokens drawn by the step before
        self._steps = 0

    @property
    def live(self) -> int:
        """The number of rows that are not finished."""
        return len(self._rows)

    @torch.inference_mode()
    def step(self) -> list[RowUpdate]:
        """Draw one token for every live row. Returns the rows that have new text or have finished."""
        if not self._rows:
            return []
        logits = self._prefill() if self._last is None else self._decode(self._last)
        tokens, logprobs = draw(
            logits.float(),
            temperature=self._temperature,
            top_p=self._top_p,
            uniform=self._uniforms[:, self._steps],
        )
        self._last = tokens[:, None]
        self._steps += 1
        updates = [
            row.take(token, logprob, self._ends)
            for row, token, logprob in zip(self._rows, tokens.tolist(), logprobs.tolist(), strict=True)
        ]
        self._keep([i for i, update in enumerate(updates) if update.generated is None])
        return [update for update in updates if update.text or update.generated]

    def cancel(self) -> list[RowUpdate]:
        """Finish every live row as it stands."""
        updates = [row.finish("cancelled") for row in self._rows]
        self._keep([])
        return updates

    def _prefill(self) -> torch.Tensor:
        """Runs each different prompt once, left-padded, and spreads the cache over the rows. Returns (B, V)."""
        unique = list(dict.fromkeys(self._prompts))
        width = max(map(len, unique))
        device = self._temperature.device
        ids = torch.full((len(unique), width), self._pad, dtype=torch.long, device=device)
        for i, prompt in enumerate(unique):
            ids[i, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        if any(len(prompt) < width for prompt in unique):
            lengths = torch.tensor([len(prompt) for prompt in unique], device=device)
            self._mask = (torch.arange(width, device=device) >= (width - lengths)[:, None]).long()
            self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._cache = DynamicCache(config=self._model.config)
        logits = self._forward(ids)
        if len(unique) < len(self._prompts):
            at = {prompt: i for i, prompt in enumerate(unique)}
            spread = torch.tensor([at[prompt] for prompt in self._prompts], device=device)
            self._select(spread)
            logits = logits[spread]
        return logits

    def _decode(self, last: torch.Tensor) -> torch.Tensor:
        if self._mask is not None and self._positions is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(last), 1)], dim=1)
            self._positions = self._positions[:, -1:] + 1
        return self._forward(last)

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(B, n) new token ids -> the last position's logits (B, V); the cache grows by n."""
        inputs: dict[str, Any] = {"attention_mask": self._mask, "position_ids": self._positions, "logits_to_keep": 1}
        accepted = {name: value for name, value in inputs.items() if name in self._inputs and value is not None}
        output = self._model(input_ids=ids, past_key_values=self._cache, use_cache=True, **accepted)
        return output.logits[:, -1]

    def _keep(self, live: list[int]) -> None:
        """Go on with these of the rows only."""
        if len(live) == len(self._rows):
            return
        self._rows = [self._rows[i] for i in live]
        if not live:
            self._model = self._cache = self._mask = self._positions = self._last = None  # freed now, not later
            return
        rows = torch.tensor(live, device=self._temperature.device)
        self._select(rows)
        self._temperature, self._top_p = self._temperature[rows], self._top_p[rows]
        self._uniforms = self._uniforms[rows]
        if self._last is not None:
            self._last = self._last[rows]

    def _select(self, rows: torch.Tensor) -> None:
        if self._cache is not None:
            # not batch_select_indices, which the layers of linear attention do not have
            self._cache.reorder_cache(rows)  # type: ignore[arg-type]
        if self._mask is not None and self._positions is not None:
            self._mask, self._positions = self._mask[rows], self._positions[rows]


def end_ids(policy: Policy) -> frozenset[int]:
    """The tokens that end a completion: those of the generation config, the config and the tokenizer together."""
    model: Any = policy.model
    sources = (
        getattr(model.generation_config, "eos_token_id", None),
        getattr(model.config.get_text_config(), "eos_token_id", None),
        policy.tokenizer.eos_token_id,
    )
    found: set[int] = set()
    for ids in sources:
        found.update(ids if isinstance(ids, list | tuple) else () if ids is None else (ids,))
    return frozenset(found)


def _forward_inputs(model: PreTrainedModel) -> frozenset[str]:
    # an adapter's wrapper takes any keyword; what counts is the model below it
    below: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    return frozenset(inspect.signature(below.forward).parameters)


def _open_row(index: int, policy: Policy, prompt: Sequence[int], sampling: Sampling) -> _Row:
    if not prompt:
        raise ValueError(f"the prompt of row {index} has no tokens; give at least one")
    positions = position_limit(policy.model)
    if positions is not None and len(prompt) >= positions:
        raise PromptTooLong(len(prompt), positions - 1, "Shorten the prompt.")
    limit = sampling.max_new_tokens if positions is None else min(sampling.max_new_tokens, positions - len(prompt))
    plain = policy.tokenizer.chat_template == PLAIN_TEMPLATE
    return _Row(index, sampling, limit, TextStream(policy.tokenizer, sampling.stop + (PLAIN_STOP if plain else ())))
