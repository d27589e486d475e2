"""Run by `accelerate launch` in test_together.py: a short training of each kind in this process, what it told as JSON.

    python two_processes.py MODEL FOLDER

The same is run in one process by the test itself. Seven examples in steps of four, so that the last step is short.
"""

import json
import os
import sys
from pathlib import Path

from recorder import Recorder

from trainer.algorithms import offline_rl, pairs, ppo, sft
from trainer.configs import ALoLConfig, DPOConfig, SFTConfig
from trainer.examples import Demonstration, Pair, Question
from trainer.ppo_config import PPOConfig

COMMON = {"batch_size": 4, "learning_rate": 1e-2, "warmup_share": 0.0, "max_length": 64}
PAIRS = [
    Pair([{"role": "user", "content": f"Say {i}"}], "YES " * (1 + i % 3), "12 " * (1 + i % 4), i, f"g{i}")
    for i in range(7)
]
SHOWN = [Demonstration(pair.prompt, pair.chosen) for pair in PAIRS]
QUESTIONS = [Question(pair.prompt) for pair in PAIRS]


def by_letters(prompts, completions, references):
    return [sum(letter.isalpha() for letter in text) / 10 for text in completions]


RUNS = {
    "sft": (sft.train, SFTConfig(epochs=2, **COMMON), SHOWN, {}),
    "dpo": (pairs.train, DPOConfig(epochs=2, target_margin=0.0, **COMMON), PAIRS, {}),
    "a_lol": (offline_rl.train, ALoLConfig(epochs=2, **COMMON), PAIRS, {}),
    "ppo": (
        ppo.train,
        PPOConfig(
            **COMMON | {"learning_rate": 1e-3},
            epochs=3,
            rollouts=6,
            ppo_epochs=2,
            gradient_accumulation=1,
            max_new_tokens=8,
        ),
        QUESTIONS,
        {"reward": by_letters},
    ),
}


def traces(model: str, folder: Path) -> dict[str, list[dict[str, float]]]:
    """What every step of each run told."""
    told = {}
    for name, (train, config, examples, further) in RUNS.items():
        recorder = Recorder()
        train(
            config=config,
            examples=examples,
            policy_source=model,
            output=folder / name / "run-0001",
            work=folder / name / "work",
            reporter=recorder,
            device="cpu",
            **further,
        )
        told[name] = recorder.steps
    return told


if __name__ == "__main__":
    place = os.environ["RANK"]
    folder = Path(sys.argv[2])
    found = traces(sys.argv[1], folder)
    (folder / f"told-{place}.json").write_text(json.dumps(found))
