"""Completions that a policy in training makes of prompts, with everything its update needs, computed once.

Legend: N completions, T tokens of the longest. What a rollout says depends on the seed of the run, its number and the
weights, never on its batch, so that a resumed run samples what the uninterrupted one would have. Leaves out scores.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.algorithms import together
from trainer.algorithms.actor_critic import ActorCritic, Scored
from trainer.examples import Question
from trainer.generation import generate
from trainer.policy import Policy
from trainer.prompting import PromptError, fit_messages, position_limit
from trainer.reporter import Stopped
from trainer.sampling import Generated, Sampling
from trainer.tensors import CPU_TOKENS, Rows, pad_rows, passes

PASS_TOKENS = 4 * CPU_TOKENS  # a step makes dozens of passes, and each has a cost of its own


@dataclass(frozen=True)
class Rollouts:
    """N completions: token ids with their prompts', texts, whether each ended by itself [N], and [N, T] what the
    policy that wrote them (`old`) and the reference say about their tokens."""

    questions: list[Question]
    rows: list[tuple[list[int], list[int]]]
    texts: list[str]
    ended: Tensor
    old: Scored
    reference: Tensor

    def only(self, kept: Sequence[int]) -> "Rollouts":
        """The rollouts with these numbers."""
        at = torch.tensor(list(kept), dtype=torch.long)
        return Rollouts(
            [self.questions[i] for i in kept],
            [self.rows[i] for i in kept],
            [self.texts[i] for i in kept],
            self.ended[at],
            Scored(*(one[at] for one in self.old)),
            self.reference[at],
        )


@dataclass(frozen=True)
class Roller:
    """Samples and scores. `reference` None is the base under the actor's adapter."""

    actor: ActorCritic
    tokenizer: Any
    reference: ActorCritic | None
    sampling: Sampling
    batch_size: int
    should_stop: Callable[[], bool]

    def roll(self, questions: Sequence[Question], seeds: Sequence[int]) -> Rollouts:
        """One completion of each question. Raises Stopped, PromptTooLong and PromptRefused."""
        return self._rolled(self.actor, questions, seeds)

    def roll_reference(self, questions: Sequence[Question], seeds: Sequence[int]) -> Rollouts:
        """The same by the reference, which then is `old` too."""
        if self.reference is not None:
            return self._rolled(self.reference, questions, seeds)
        with self.actor.without_adapter():
            return self._rolled(self.actor, questions, seeds)

    def _rolled(self, writer: ActorCritic, questions: Sequence[Question], seeds: Sequence[int]) -> Rollouts:
        mine = generate(
            Policy(writer.model, self.tokenizer, ""),
            together.dealt([question.prompt for question in questions]),
            sampling=self.sampling,
            seeds=together.dealt(seeds),
            batch_size=self.batch_size,
            should_stop=self.should_stop,
        )
        made = together.collected(mine)
        if self.should_stop():
            raise Stopped("stopped while completions were sampled; the run can be resumed")
        return self._scored(writer, questions, made)

    def scored(self, questions: Sequence[Question], made: Sequence[Generated]) -> Rollouts:
        """What the actor has made of each question elsewhere, as `roll` gives it. Raises Stopped."""
        return self._scored(self.actor, questions, made)

    def _scored(self, writer: ActorCritic, questions: Sequence[Question], made: Sequence[Generated]) -> Rollouts:
        rows = [(self.fitted(q), list(g.token_ids)) for q, g in zip(questions, made, strict=True)]
        old = self.score(writer, rows)
        if self.reference is None:
            with self.actor.without_adapter():
                reference = self.score(self.actor, rows).logprobs
        else:
            reference = self.score(self.reference, rows).logprobs
        ended = torch.tensor([g.finish_reason == "stop" for g in made])
        return Rollouts(list(questions), rows, [g.text for g in made], ended, old, reference)

    def fitted(self, question: Question) -> list[int]:
        """The question's token ids as `generate` gives them to the model. Raises PromptTooLong and PromptRefused."""
        return fit_messages(
            self.tokenizer,
            question.prompt,
            max_positions=position_limit(self.actor.model),
            max_new_tokens=self.sampling.max_new_tokens,
        )

    def fits(self, question: Question) -> bool:
        """Whether a completion can follow it."""
        try:
            self.fitted(question)
        except PromptError:
            return False
        return True

    @torch.no_grad()
    def score(self, actor: ActorCritic, rows: Sequence[tuple[list[int], list[int]]]) -> Scored:
        """What `actor` says about the completions of all rows, [N, T], in batches of like length."""
        longest = max(len(completion) for _, completion in rows)
        found = Scored(*(torch.zeros(len(rows), longest) for _ in Scored._fields))
        for batch in self.passes(rows, range(len(rows))):
            if self.should_stop():
                raise Stopped("stopped while completions were scored; the run can be resumed")
            scored = actor(self.padded([rows[i] for i in batch]), self.sampling.temperature)
            for whole, part in zip(found, scored, strict=True):
                whole[batch, : part.shape[1]] = part.cpu()
        return found

    def passes(self, rows: Sequence[tuple[list[int], list[int]]], places: Iterable[int]) -> Iterator[list[int]]:
        """These places of the rows in forward passes, each of rows of like length."""
        widths = [sum(map(len, row)) for row in rows]
        order = sorted(places, key=lambda place: widths[place])
        return passes(
            order, widths, self.batch_size, tokens=PASS_TOKENS if self.actor.model.device.type == "cpu" else 0
        )

    def padded(self, rows: Sequence[tuple[list[int], list[int]]]) -> Rows:
        """The rows as one batch on the model's device."""
        padded, device = pad_rows(rows, pad_id=self.tokenizer.pad_token_id or 0), self.actor.model.device
        return Rows(
            input_ids=padded["input_ids"].to(device),
            attention_mask=padded["attention_mask"].to(device),
            completion_mask=padded["completion_mask"].to(device),
        )


def questions_of(questions: Sequence[Question], *, first: int, count: int, seed: int) -> list[Question]:
    """The questions of `count` rollouts from the `first` on: every pass over all of them has an order of its own."""
    asked: list[Question] = []
    while len(asked) < count:
        lap, at = divmod(first + len(asked), len(questions))
        order = random.Random(f"{seed}:{lap}").sample(range(len(questions)), len(questions))
        asked += [questions[i] for i in order[at : at + count - len(asked)]]
    return asked


def seeds_of(*, first: int, count: int, seed: int) -> list[int]:
    """A number for each of `count` rollouts from the `first` on; what it draws follows from it alone."""
    return [random.Random(f"{seed}:{number}:rollout").randrange(2**31) for number in range(first, first + count)]
