"""The embedded starter model: a small chat model, its prompts and how both were made.

Importing this package costs nothing: no torch, no file is read. `WEIGHTS` is a folder that
`AutoModelForCausalLM.from_pretrained` loads, `JUDGE_WEIGHTS` one of a model that compares two replies (see `judge/`),
`PROMPTS` one JSON object per line (see `prompts.py`), `HAND_LISTS` lists written by hand that only measuring reads.
"""

from pathlib import Path

WEIGHTS: Path = Path(__file__).parent / "weights"
JUDGE_WEIGHTS: Path = Path(__file__).parent / "judge_weights"
PROMPTS: Path = Path(__file__).parent / "prompts.jsonl"
HAND_LISTS: Path = Path(__file__).parent / "hand_lists.jsonl"

__all__ = ["HAND_LISTS", "JUDGE_WEIGHTS", "PROMPTS", "WEIGHTS"]
