"""Whole completions of many conversations by one policy, in batches of like length, until all have ended.

Leaves out the decoding step (`trainer/decoding.py`), which the serving engine shares.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trainer.decoding import DecodingBatch
from trainer.policy import Policy
from trainer.prompting import Messages, fit_messages, position_limit
from trainer.sampling import Generated, Sampling


def generate(
    policy: Policy,
    conversations: Sequence[Messages],
    *,
    sampling: Sampling,
    seeds: Sequence[int],
    batch_size: int = 32,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Generated]:
    """A completion for each conversation, in their order; `seeds` has one number for each.

    Runs in batches of similar length, in eval mode and without gradients. on_progress(done, all) is called as rows
    finish. Once should_stop() is true, the rows that are not finished come back as `cancelled`. Raises PromptTooLong,
    PromptRefused, NonFiniteLogits.
    """
    if len(seeds) != len(conversations):
        raise ValueError(f"{len(conversations)} conversations and {len(seeds)} seeds were given; give a seed for each")
    positions = position_limit(policy.model)
    prompts = [
        fit_messages(policy.tokenizer, messages, max_positions=positions, max_new_tokens=sampling.max_new_tokens)
        for messages in conversations
    ]
    return complete(
        policy,
        prompts,
        sampling=sampling,
        seeds=seeds,
        batch_size=batch_size,
        on_progress=on_progress,
        should_stop=should_stop,
    )


def complete(
    policy: Policy,
    prompts: Sequence[list[int]],
    *,
    sampling: Sampling,
    seeds: Sequence[int],
    batch_size: int = 32,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Generated]:
    """The same for prompts that are token ids already; a completion ends where the model has no more positions.

    Raises PromptTooLong for a prompt that leaves none, NonFiniteLogits.
    """
    done = [Generated("", (), "cancelled", 0.0, 0) for _ in prompts]
    finished = 0
    model: Any = policy.model
    was_training = model.training
    model.eval()
    try:
        # equal prompts next to each other, so that they share a prefill
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i]))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = DecodingBatch(
                policy, [prompts[i] for i in chosen], sampling=sampling, seeds=[seeds[i] for i in chosen]
            )
            while batch.live:
                stopping = should_stop is not None and should_stop()
                for update in batch.cancel() if stopping else batch.step():
                    if update.generated is not None:
                        done[chosen[update.row]] = update.generated
                        finished += 1
                if stopping:
                    return done
                if on_progress is not None:
                    on_progress(finished, len(prompts))
    finally:
        model.train(was_training)
    return done
