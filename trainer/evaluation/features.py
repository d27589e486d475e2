"""Frozen features of completions: what the initial model sees in them, and what a reader sees at a glance.

Legend: N completions, F features. Leaves out what is fitted on them (trainer/evaluation/preference_model.py).
"""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.examples import encode
from trainer.policy import Policy
from trainer.prompting import Messages, position_limit
from trainer.reporter import Stopped
from trainer.tensors import pad_rows

Array = NDArray[np.float64]
Item = tuple[Messages, str]  # the prompt's messages and one completion's text


def features(
    policy: Policy,
    items: Sequence[Item],
    *,
    batch_size: int = 32,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Array:
    """Frozen features [N, F] of completions in their prompts, from one forward pass each.

    Three blocks of the hidden size's width: the mean over the completion's tokens, end-of-turn included, of the final
    hidden states; the last of these; and the surface, tiled so that after standardisation it weighs as much. What is
    too long for the model is shortened as in training. `on_progress(done, N)` follows each batch; raises Stopped once
    `should_stop()` is true.
    """
    longest = position_limit(policy.model) or 1 << 20
    encoded = [encode(policy.tokenizer, messages, [text], max_length=longest) for messages, text in items]
    rows = [(one.prompt, one.completions[0]) for one in encoded]
    order = sorted(range(len(rows)), key=lambda index: sum(map(len, rows[index])))
    device = policy.model.device
    result = np.zeros((len(rows), 0))
    for start in range(0, len(order), batch_size):
        if should_stop is not None and should_stop():
            raise Stopped(f"stopped after the features of {start} of {len(rows)} completions")
        batch = order[start : start + batch_size]
        padded = pad_rows([rows[index] for index in batch], pad_id=policy.tokenizer.pad_token_id or 0)
        with torch.inference_mode():
            output = policy.model.base_model(
                input_ids=padded["input_ids"].to(device), attention_mask=padded["attention_mask"].to(device)
            )
            hidden = output.last_hidden_state.double().cpu().numpy()
        if result.shape[1] == 0:
            tiles = max(1, hidden.shape[-1] // len(surface("")))
            result = np.zeros((len(rows), 2 * hidden.shape[-1] + tiles * len(surface(""))))
        for row, index in enumerate(batch):
            begin = len(rows[index][0])
            states = hidden[row, begin : begin + len(rows[index][1])]
            seen = np.tile(surface(items[index][1]), tiles)
            result[index] = np.concatenate([states.mean(axis=0), states[-1], seen])
        if on_progress is not None:
            on_progress(start + len(batch), len(rows))
    return result


def surface(text: str) -> Array:
    """What a reader sees at a glance, as log(1 + count) [10]: characters, words, ! ? . and commas, symbols such as
    emoji, capitals, digits, line breaks."""
    counts = [len(text), len(text.split()), *(text.count(mark) for mark in "!?.,")]
    symbols = sum(unicodedata.category(character) == "So" for character in text)
    capitals, digits = sum(map(str.isupper, text)), sum(map(str.isdigit, text))
    return np.log1p(np.array([*counts, symbols, capitals, digits, text.count("\n")], dtype=np.float64))
