"""A bottleneck checkpoint is loaded, swapped in and decoded from like any other."""

from pathlib import Path

import torch

from app.serving.engine import Engine
from app.serving.slot import Slot
from trainer.bottleneck import BottleneckSettings, adapted_mlps, attach_bottleneck
from trainer.policy import load_policy, save_checkpoint
from trainer.sampling import Sampling

GREEDY = Sampling(temperature=0.0, max_new_tokens=8)
QUESTION = [{"role": "user", "content": "Say it"}]


def test_it_is_swapped_in_for_its_base_and_back(tiny_model_dir: Path, tmp_path: Path) -> None:
    start = load_policy(tiny_model_dir, device="cpu")
    model = attach_bottleneck(start.model, BottleneckSettings())
    torch.manual_seed(0)
    for one in adapted_mlps(model):
        torch.nn.init.normal_(one.bottleneck.up.weight, std=1.0)
    save_checkpoint(
        tmp_path / "dpo-0001",
        model=model,
        tokenizer=start.tokenizer,
        kind="adapter",
        base=str(tiny_model_dir),
        base_digest=start.digest,
    )
    slot, said = Slot(), []
    with Engine(slot) as engine:
        for name, source in (
            ("initial", tiny_model_dir),
            ("dpo-0001", tmp_path / "dpo-0001"),
            ("again", tiny_model_dir),
        ):
            slot.swap(name, lambda source=source: load_policy(source, device="cpu"))  # type: ignore[misc]
            ticket = engine.submit([QUESTION], sampling=GREEDY, seeds=[0])
            assert ticket.checkpoint_id == name
            said.append(ticket.result(timeout=60)[0].token_ids)
    slot.close()
    assert said[0] == said[2] != said[1]
