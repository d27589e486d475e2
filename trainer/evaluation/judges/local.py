"""Any causal language model as a judge: a folder, one of our checkpoints, or a hub id.

`word`: the exact log-probabilities of the verdicts as the first thing the model would write, all their spellings added
up; one forward pass, nothing sampled. `reasons`: greedy text with the verdict on a line of its own, for models that
need to think. The model is loaded when it is first asked; its weights' digest is part of every call's key.
"""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal

from trainer.evaluation.judges.base import Ask, OnReply, Reading, Reply, Usage, invalid
from trainer.evaluation.judges.parsing import parse_marked, parse_masses
from trainer.evaluation.judges.rubric import Rubric, judge_messages
from trainer.evaluation.judges.spelling import spellings, total_masses
from trainer.generation import generate
from trainer.policy import Policy, default_dtype, load_policy, pick_device
from trainer.prompting import PromptError, PromptRefused, fit_messages, position_limit, render
from trainer.sampling import Sampling
from trainer.sources import source_digest

Way = Literal["word", "reasons"]
MAX_REASONS = 512  # tokens


class LocalJudge:
    """A causal language model that is asked by a rubric. `source` as load_policy takes it."""

    kind = "local"
    sees_order = True
    chunk = 32

    def __init__(
        self, source: str, rubric: Rubric, *, way: Way = "word", device: str = "auto", base: str | None = None
    ) -> None:
        self.source, self.rubric, self.way = source, rubric, way
        self._device, self._base = device, base
        self.name = f"local:{source}:{way}:{rubric.name}"
        self.reminders = 0 if way == "word" else 2  # a log-probability asked again is the same

    @cached_property
    def revision(self) -> str:
        """Digest of the weights; of an adapter, its manifest's, which names its base."""
        return source_digest(self.source)

    @cached_property
    def policy(self) -> Policy:
        return load_policy(self.source, device=self._device, base=self._base)

    def request(self, ask: Ask) -> dict[str, Any]:
        return {
            "messages": judge_messages(self.rubric, Ask(ask.comparison, "", ask.reminders, ask.repeat), self.way),
            "way": self.way,
            "names": list(self.rubric.names),
            "max_new_tokens": MAX_REASONS if self.way == "reasons" else 0,
            "dtype": str(default_dtype(pick_device(self._device))),
        }

    def ask(self, asks: Sequence[Ask], *, on_reply: OnReply, should_stop: Callable[[], bool]) -> None:
        """A batch; one that does not fit the model's positions fails by itself."""
        if should_stop():
            return
        fitting: list[tuple[int, list[dict[str, str]], list[int]]] = []
        for index, ask in enumerate(asks):
            messages = self._messages(ask)
            try:
                fitting.append((index, messages, self._prompt_ids(messages)))
            except PromptError as error:
                remedy = "Lower longest_text and longest_prompt in the rubric, or take a judge with more positions."
                on_reply(index, Reply(failure=f"{error.message} {remedy}"))
        if not fitting:
            return
        begun = time.monotonic()
        replies: Sequence[Reply | None]
        if self.way == "word":
            replies = self._read_words([ids for _, _, ids in fitting])
        else:
            replies = self._write([messages for _, messages, _ in fitting], should_stop)
        each_s = (time.monotonic() - begun) / len(fitting)
        for (index, _, ids), reply in zip(fitting, replies, strict=True):
            if reply is not None:
                usage = Usage(len(ids), reply.usage.output_tokens)
                on_reply(index, Reply(reply.text, reply.logprobs, model=self.revision, usage=usage, latency_s=each_s))

    def read(self, reply: Reply) -> Reading:
        names = self.rubric.names
        if self.way == "reasons":
            return parse_marked(reply.text, names)
        if reply.logprobs is None:
            return invalid("the reply has no log-probabilities")
        mass = dict.fromkeys(names.values(), 0.0)
        for said, probability in total_masses(reply.logprobs, names):
            mass[said] += probability
        return parse_masses(mass)

    def _messages(self, ask: Ask) -> list[dict[str, str]]:
        messages = judge_messages(self.rubric, ask, self.way)
        if self._system_allowed:
            return messages
        return [{"role": "user", "content": "\n\n".join(message["content"] for message in messages)}]

    @cached_property
    def _system_allowed(self) -> bool:
        """Some chat templates know no system message; the rubric then opens the user's turn."""
        try:
            render(self.policy.tokenizer, [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])
        except PromptRefused:
            return False
        return True

    def _prompt_ids(self, messages: list[dict[str, str]]) -> list[int]:
        room = MAX_REASONS if self.way == "reasons" else max(len(ids) for _, ids in self._spellings)
        limit = position_limit(self.policy.model)
        return fit_messages(self.policy.tokenizer, messages, max_positions=limit, max_new_tokens=room)

    @cached_property
    def _spellings(self) -> list[tuple[str, list[int]]]:
        return spellings(self.policy.tokenizer, list(self.rubric.names))

    def _read_words(self, prompts: Sequence[list[int]]) -> list[Reply]:
        from trainer.evaluation.judges.verdict_logprobs import continuation_logprobs

        table = continuation_logprobs(
            self.policy.model,
            prompts,
            [ids for _, ids in self._spellings],
            pad_id=self.policy.tokenizer.pad_token_id or 0,  # type: ignore[arg-type]
        )
        written = [text for text, _ in self._spellings]
        return [Reply(logprobs=tuple(zip(written, row, strict=True))) for row in table]

    def _write(self, conversations: list[list[dict[str, str]]], stop: Callable[[], bool]) -> "list[Reply | None]":
        """What the model writes; None where a stop cut it off."""
        made = generate(
            self.policy,
            conversations,
            sampling=Sampling(temperature=0.0, max_new_tokens=MAX_REASONS),
            seeds=[0] * len(conversations),
            batch_size=8,
            should_stop=stop,
        )
        return [
            None if one.finish_reason == "cancelled" else Reply(one.text, usage=Usage(0, one.tokens)) for one in made
        ]
