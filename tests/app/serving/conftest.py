"""Tiny policies that say different things, and can be slow or break."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.serving.engine import Engine
from app.serving.slot import Slot
from trainer.policy import Policy

MakePolicy = Callable[..., Policy]


@pytest.fixture
def make_policy(tiny_model_dir: Path) -> MakePolicy:
    """make_policy("a") is the same model each time, and another than make_policy("b"). delay: seconds a step takes;
    on_step is called before each step with the number of rows."""

    def make(name: str, *, delay: float = 0.0, on_step: Callable[[int], None] | None = None) -> Policy:
        model = AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval()
        tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
        # no end token: rows are as long as a test asks for
        model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token = None
        with torch.no_grad():
            noise = torch.Generator().manual_seed(sum(name.encode()))
            weight = model.model.embed_tokens.weight
            weight.copy_(torch.randn(weight.shape, generator=noise) * 0.2)

        def before_step(_: object, __: object, inputs: dict[str, torch.Tensor]) -> None:
            time.sleep(delay)
            if on_step is not None:
                on_step(len(inputs["input_ids"]))

        model.register_forward_pre_hook(before_step, with_kwargs=True)
        return Policy(model, tokenizer, f"digest of {name}")

    return make


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.002)

    return wait


@pytest.fixture
def slot(make_policy: MakePolicy) -> Slot:
    slot = Slot()
    slot.swap("a", lambda: make_policy("a"))
    return slot


@pytest.fixture
def engine(slot: Slot) -> Iterator[Engine]:
    with Engine(slot) as engine:
        yield engine
