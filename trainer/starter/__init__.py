"""The embedded starter model: a small chat model, its prompts and how both were made.

Importing this package costs nothing: no torch, no file is read. `WEIGHTS` is a folder that
`AutoModelForCausalLM.from_pretrained` loads, `PROMPTS` one JSON object per line (see `prompts.py`).
"""

from pathlib import Path

WEIGHTS: Path = Path(__file__).parent / "weights"
PROMPTS: Path = Path(__file__).parent / "prompts.jsonl"

__all__ = ["PROMPTS", "WEIGHTS"]
