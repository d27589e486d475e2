"""Any sequence classifier of transformers as a reward: the probability or the logit of one label.

Safetensors only, and no code that comes with a model is run. What is too long loses tokens at its end, of prompt and
completion the longer one first.
"""

from collections.abc import Sequence
from typing import Any

import torch

from trainer.policy import SAFELY, pick_device
from trainer.prompting import Messages, position_limit
from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources, last_user
from trainer.sources import resolve_source


class Classifier:
    """What `model` says of label number `label` for each completion; None for an empty one that has no tokens."""

    def __init__(self, model: Any, tokenizer: Any, term: terms.Classifier, label: int) -> None:
        self._model, self._tokenizer, self._term, self._label = model, tokenizer, term, label
        self._max_length = min(
            term.max_length, position_limit(model) or term.max_length, tokenizer.model_max_length or term.max_length
        )
        padded = tokenizer.pad_token_id is not None and model.config.pad_token_id is not None
        self._batch_size = term.batch_size if padded else 1  # rows alone need no padding
        self._reads_nothing = bool(tokenizer("")["input_ids"])

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        readable = [i for i, text in enumerate(completions) if text or self._term.with_prompt or self._reads_nothing]
        made: list[float | None] = [None] * len(completions)
        for start in range(0, len(readable), self._batch_size):
            batch = readable[start : start + self._batch_size]
            scores = self._scores([prompts[i] for i in batch], [completions[i] for i in batch])
            for index, score in zip(batch, scores, strict=True):
                made[index] = score
        return made

    def _scores(self, prompts: Sequence[Messages], completions: Sequence[str]) -> list[float]:
        with torch.no_grad():
            logits = self._model(**self._encoded(prompts, completions).to(self._model.device)).logits.float()
        if self._term.form == "probability":
            several = logits.shape[-1] > 1 and self._model.config.problem_type != "multi_label_classification"
            logits = logits.softmax(dim=-1) if several else logits.sigmoid()
        return logits[:, self._label].tolist()

    def _encoded(self, prompts: Sequence[Messages], completions: Sequence[str]) -> Any:
        texts = [[last_user(prompt) for prompt in prompts]] if self._term.with_prompt else []
        return self._tokenizer(
            *texts,
            list(completions),
            padding=len(completions) > 1,
            truncation="longest_first" if texts else True,
            max_length=self._max_length,
            return_tensors="pt",
        )


def open_reward(term: terms.Classifier, sources: RewardSources) -> Classifier:
    """Raises RewardError naming the labels for one that the model does not have, OSError where there is no model."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = resolve_source(term.model)
    loaded: Any = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, **SAFELY)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = loaded.to(pick_device(sources.device)).eval()
    return Classifier(model, tokenizer, term, label_number(term.label, model.config.id2label, term.model))


def label_number(label: str, names: dict[int, str], model: str) -> int:
    """The number of the label that is called so, or has this number, or is the only one."""
    if not label and len(names) == 1:
        return next(iter(names))
    found = [number for number, name in names.items() if label.casefold() in (name.casefold(), str(number))]
    if len(found) == 1:
        return found[0]
    told = ", ".join(f"{number} ({name})" for number, name in names.items())
    raise RewardError(
        f"The classifier {model} has no label {label!r}." if label else f"The classifier {model} has several labels.",
        hint=f"Give one of these as `label`: {told}.",
    )
