"""Fitting the reference's value of a prompt: its own samples, their rewards, and a head on its prompt states.

Baheti et al. 2023, section 3. The target of a prompt is the mean reward of `value_samples` completions that the frozen
reference samples at temperature 1; the paper has one, greedy. The head starts at the mean of all targets and learns
from most of the prompts; the others say when to stop, and whether it beats that mean at all. Leaves out the head
(`trainer/reference_value.py`).
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainer.generation import complete
from trainer.offline_fields import Valued
from trainer.policy import Policy
from trainer.prompting import Messages
from trainer.reference_value import ReferenceValueHead, value_error, value_target
from trainer.reporter import Reporter, Stopped
from trainer.sampling import Sampling

HELD_OUT = 0.15  # of the prompts, at least one: the fit ends where it no longer gets better on them
PATIENCE = 10  # passes without a better error on them
MOST_HEADS = 8

Scorer = Callable[[Sequence[Messages], Sequence[str]], Tensor]
"""(prompts, completions) -> rewards [N], NaN where there is none."""


class EncodedPrompt(NamedTuple):
    """A prompt as messages, for the reward, and as the token ids that are learnt from, for the reference."""

    messages: Messages
    ids: list[int]


class Fit(NamedTuple):
    """A head in eval mode, its squared error on the held-out prompts, that of a constant, and the passes it took."""

    head: ReferenceValueHead
    error: float
    constant_error: float
    passes: int


def fitted_values(
    prompts: Sequence[EncodedPrompt],
    reference: Policy,
    scored: Scorer,
    config: Valued,
    *,
    largest: float,
    seed: int,
    batch_size: int,
    max_new_tokens: int,
    reporter: Reporter,
) -> Tensor:
    """The reference's value of each prompt, [N]; equal prompts are asked once. `largest` is the largest reward known.

    Raises Stopped where the reporter asks for it, ValueError where no sample has a reward.
    """
    unique = {tuple(prompt.ids): prompt for prompt in prompts}
    asked = list(unique.values())
    rewards = sampled_rewards(
        asked, reference, scored, config.value_samples, seed=seed, max_new_tokens=max_new_tokens, reporter=reporter
    )
    known = (~rewards.isnan().all(dim=-1)).nonzero().squeeze(-1)
    if not len(known):
        raise ValueError(
            "the reward says nothing of any completion the reference sampled; use one that applies to them"
        )
    largest = max(largest, float(rewards[~rewards.isnan()].max()))
    if not largest > 0:
        raise ValueError("every reward is 0, of the data and of the reference's samples: there is nothing to learn")
    states = prompt_states([prompt.ids for prompt in asked], reference, batch_size=batch_size)
    target = value_target(rewards[known])
    fit = fit_head([states[i] for i in known.tolist()], target, config, largest=largest, seed=seed, reporter=reporter)
    reporter.stage("training")
    reporter.log(
        f"the reference's value: {len(known)} prompts, {config.value_samples} samples each, mean reward "
        f"{float(target.mean()):.3f}; squared error on held-out prompts {fit.error:.4f}, of a constant "
        f"{fit.constant_error:.4f}, after {fit.passes} passes"
    )
    found = dict(zip(unique, values_of(fit.head, states).tolist(), strict=True))
    return torch.tensor([found[tuple(prompt.ids)] for prompt in prompts])


def sampled_rewards(
    prompts: Sequence[EncodedPrompt],
    reference: Policy,
    scored: Scorer,
    samples: int,
    *,
    seed: int,
    max_new_tokens: int,
    reporter: Reporter,
) -> Tensor:
    """Rewards [N, samples] of completions that the reference samples at temperature 1."""
    asked = [prompt for prompt in prompts for _ in range(samples)]
    generator = torch.Generator().manual_seed(seed)
    seeds = torch.randint(2**31, (len(asked),), generator=generator).tolist()
    stage = "sampling the reference"
    reporter.stage(stage, 0, len(asked))
    made = complete(
        reference,
        [prompt.ids for prompt in asked],
        sampling=Sampling(temperature=1.0, max_new_tokens=max_new_tokens),
        seeds=seeds,
        on_progress=lambda done, total: reporter.stage(stage, done, total),
        should_stop=reporter.should_stop,
    )
    if any(one.finish_reason == "cancelled" for one in made):
        raise Stopped("stopped while the reference was sampled; a run that goes on samples it again")
    return scored([prompt.messages for prompt in asked], [one.text for one in made]).view(len(prompts), samples)


@torch.no_grad()
def prompt_states(prompts: Sequence[list[int]], reference: Policy, *, batch_size: int) -> list[Tensor]:
    """Last-layer states of each prompt, [S, H] float32 on the CPU."""
    device, states = reference.model.device, []
    for begin in range(0, len(prompts), batch_size):
        batch = prompts[begin : begin + batch_size]
        ids = nn.utils.rnn.pad_sequence([torch.tensor(prompt) for prompt in batch], batch_first=True)
        mask = torch.arange(ids.shape[1]) < torch.tensor([len(prompt) for prompt in batch])[:, None]
        output = reference.model.base_model(input_ids=ids.to(device), attention_mask=mask.long().to(device))
        hidden = output.last_hidden_state.float().cpu()
        states += [hidden[row, : len(prompt)] for row, prompt in enumerate(batch)]
    return states


def fit_head(
    states: Sequence[Tensor], target: Tensor, config: Valued, *, largest: float, seed: int, reporter: Reporter
) -> Fit:
    """A head fitted to prompt states [S, H] each and their mean rewards [N]; the best pass on held-out prompts.

    Draws from torch's global generator are undone; one prompt alone has the constant. Raises Stopped on request.
    """
    size = states[0].shape[-1]
    heads = max(count for count in range(1, MOST_HEADS + 1) if size % count == 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = ReferenceValueHead(size, heads=heads, max_value=largest)
        places = torch.randperm(len(states))
        out, learnt = places[: _held_out(len(states))], places[_held_out(len(states)) :]
        _start_at(head, target[learnt])
        best = constant = _error(head, states, target, out)
        kept, since, passes = copy.deepcopy(head.state_dict()), 0, 0
        optimiser = torch.optim.AdamW(head.parameters(), lr=config.value_learning_rate)
        while len(out) and passes < config.value_epochs and since < PATIENCE:
            reporter.stage("fitting the reference's value", passes, config.value_epochs)
            if reporter.should_stop():
                raise Stopped("stopped while the reference's value was fitted; a run that goes on fits it again")
            for batch in _parts(learnt[torch.randperm(len(learnt))], 16):
                optimiser.zero_grad()
                loss = value_error(head(*_padded(states, batch)), target[batch]).mean()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            passes, since, error = passes + 1, since + 1, _error(head, states, target, out)
            if error < best:
                best, kept, since = error, copy.deepcopy(head.state_dict()), 0
    head.load_state_dict(kept)
    return Fit(head.eval(), best, constant, passes)


def values_of(head: ReferenceValueHead, states: Sequence[Tensor]) -> Tensor:
    """[N], in batches."""
    return torch.cat([head.values(*_padded(states, batch)) for batch in _parts(torch.arange(len(states)), 64)])


def _parts(places: Tensor, size: int) -> list[Tensor]:
    return [places[begin : begin + size] for begin in range(0, len(places), size)]


def _held_out(prompts: int) -> int:
    return max(1, round(HELD_OUT * prompts)) if prompts > 1 else 0


def _start_at(head: ReferenceValueHead, target: Tensor) -> None:
    """Every value is the mean target at first, kept off the sigmoid's ends, where nothing can be learnt."""
    share = float((target.mean() / head.max_value).clamp(0.01, 0.99))
    nn.init.zeros_(head.summary.weight)
    nn.init.constant_(head.summary.bias, math.log(share / (1 - share)))


def _error(head: ReferenceValueHead, states: Sequence[Tensor], target: Tensor, places: Tensor) -> float:
    if not len(places):
        return 0.0
    return float(value_error(head.values(*_padded(states, places)), target[places]).mean())


def _padded(states: Sequence[Tensor], places: Tensor) -> tuple[Tensor, Tensor]:
    """States [B, S, H] and mask [B, S] of these prompts."""
    rows = [states[place] for place in places.tolist()]
    lengths = torch.tensor([len(row) for row in rows])
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return padded, torch.arange(padded.shape[1]) < lengths[:, None]
