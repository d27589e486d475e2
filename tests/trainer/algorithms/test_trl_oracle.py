"""TRL's trainers as oracles of ours: the same data, weights, settings and seed give the same losses, step by step.

Where theirs differs on purpose (docs/algorithms.md) the data are such that it does not matter: ORPO's prompts are one
token long, because TRL counts the prompt's likelihood too, and KTO's partners are rotated as TRL rotates them.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import TrainingArguments, set_seed
from trl.experimental.cpo import CPOConfig as TRLCPOConfig
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOConfig as TRLORPOConfig
from trl.experimental.orpo import ORPOTrainer
from trl.trainer.dpo_config import DPOConfig as TRLDPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_config import KTOConfig as TRLKTOConfig
from trl.trainer.kto_trainer import KTOTrainer as TRLKTOTrainer

from trainer.algorithms.callbacks import trainer_settings
from trainer.algorithms.kto import EncodedRated, KTOTrainer, RatedCollator, Weights
from trainer.algorithms.pairs import EncodedPair, PairCollator, PairTrainer
from trainer.algorithms.reference import Row, make_row
from trainer.base_config import AlgorithmConfig
from trainer.configs import parse_config
from trainer.policy import Policy, load_policy
from trainer.tensors import completion_logprobs

pytestmark = pytest.mark.slow

SMALL = {"batch_size": 4, "epochs": 3, "learning_rate": 1e-3, "adapter": "full", "seed": 5, "warmup_share": 0.0}
TEXTS = [
    {"prompt": chr(ord("A") + i), "chosen": "YES " * (1 + i % 3), "rejected": "12 " * (1 + i % 4)} for i in range(12)
]
TEXTS_WITH_PROMPTS = [one | {"prompt": f"Say {one['prompt']} again: "} for one in TEXTS]


@pytest.fixture
def policy(tiny_model_dir: Path) -> Policy:
    return load_policy(tiny_model_dir, device="cpu")


def settings(config: AlgorithmConfig, folder: Path, policy: Policy, **changes: Any) -> dict[str, Any]:
    return trainer_settings(config, folder, policy.model.device) | {"save_strategy": "no"} | changes


def row(policy: Policy, prompt: str, completion: str) -> Row:
    ids = [list(policy.tokenizer(text)["input_ids"]) for text in (prompt, completion)]
    end: Any = policy.tokenizer.eos_token_id
    return make_row(ids[0], [*ids[1], end], reference=policy, max_length=512)


def logprobs(policy: Policy, rows: list[Row]) -> list[float]:
    return completion_logprobs(policy.model, [(r.prompt, r.completion) for r in rows], pad_id=0, batch_size=4)


def losses(trainer: Any) -> list[float]:
    set_seed(5)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def ours(policy: Policy, texts: list[dict[str, str]], folder: Path, name: str, **given: Any) -> list[float]:
    config: Any = parse_config(name, SMALL | given)
    chosen = [row(policy, one["prompt"], one["chosen"]) for one in texts]
    rejected = [row(policy, one["prompt"], one["rejected"]) for one in texts]
    known = zip(chosen, rejected, logprobs(policy, chosen), logprobs(policy, rejected), strict=True)
    return losses(
        PairTrainer(
            config=config,
            starts_at_reference=config.uses_reference,
            model=copy.deepcopy(policy.model),
            args=TrainingArguments(**settings(config, folder, policy)),
            train_dataset=[EncodedPair(*one) for one in known],
            data_collator=PairCollator(0, shared=True),
        )
    )


def theirs(trainer: Any, arguments: Any, policy: Policy, texts: list[dict[str, Any]], **models: Any) -> list[float]:
    return losses(
        trainer(
            model=copy.deepcopy(policy.model),
            args=arguments,
            train_dataset=Dataset.from_list(texts),
            processing_class=policy.tokenizer,
            **models,
        )
    )


def assert_same(found: list[float], expected: list[float]) -> None:
    assert len(found) == len(expected) == 9
    assert found == pytest.approx(expected, abs=1e-3)
    assert max(found) - min(found) > 0.01, "nothing was learnt, so that anything would agree"


@pytest.mark.parametrize(
    ("names", "given"),
    [
        (["sigmoid"], {}),
        (["hinge"], {}),
        (["ipo"], {"beta": 1.0}),
        (["robust"], {"label_smoothing": 0.1}),
        (["exo_pair"], {"label_smoothing": 0.1}),
        (["sigmoid_norm"], {"beta": 1.0}),
        (["bco_pair"], {}),
        (["nca_pair"], {}),
        (["sppo_hard"], {"beta": 1.0}),
        (["apo_zero"], {}),
        (["apo_down"], {}),
        (["aot"], {}),
        (["aot_unpaired"], {}),
        (["discopop"], {}),
        (["sigmoid", "sft"], {}),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_dpo_and_its_relatives_have_trls_losses(policy, tmp_path, names, given):
    given = {"beta": 0.1, "label_smoothing": 0.0} | given
    weights = [1.0, 0.5][: len(names)]
    shown = {"loss_type": names, "loss_weights": weights, "target_margin": 0.0}
    config = parse_config("dpo", SMALL | given | shown)
    arguments = TRLDPOConfig(
        **settings(config, tmp_path / "theirs", policy),
        **given,
        loss_type=names,
        loss_weights=weights,
        max_length=None,
        gradient_checkpointing=False,
    )
    expected = theirs(DPOTrainer, arguments, policy, TEXTS_WITH_PROMPTS, ref_model=copy.deepcopy(policy.model))
    assert_same(ours(policy, TEXTS_WITH_PROMPTS, tmp_path / "ours", "dpo", **given, **shown), expected)


def test_orpo_has_trls_losses(policy, tmp_path):
    config = parse_config("orpo", SMALL)
    arguments = TRLORPOConfig(
        **settings(config, tmp_path / "theirs", policy), beta=0.1, max_length=512, gradient_checkpointing=False
    )
    assert_same(ours(policy, TEXTS, tmp_path / "ours", "orpo", beta=0.1), theirs(ORPOTrainer, arguments, policy, TEXTS))


@pytest.mark.parametrize(
    ("name", "given", "named"),
    [
        ("cpo", {"beta": 0.1, "cpo_alpha": 0.5}, {"loss_type": "sigmoid", "cpo_alpha": 0.5}),
        ("cpo", {"beta": 0.1, "cpo_alpha": 1.0, "label_smoothing": 0.1}, {"loss_type": "sigmoid", "cpo_alpha": 1.0}),
        ("simpo", {"beta": 2.0, "gamma": 0.5}, {"loss_type": "simpo", "cpo_alpha": 0.0, "simpo_gamma": 0.5}),
    ],
)
def test_cpo_and_simpo_have_trls_losses(policy, tmp_path, name, given, named):
    config = parse_config(name, SMALL | given)
    arguments = TRLCPOConfig(
        **settings(config, tmp_path / "theirs", policy),
        **named,
        beta=given["beta"],
        label_smoothing=given.get("label_smoothing", 0.0),
        max_length=512,
        gradient_checkpointing=False,
    )
    expected = theirs(CPOTrainer, arguments, policy, TEXTS_WITH_PROMPTS)
    assert_same(ours(policy, TEXTS_WITH_PROMPTS, tmp_path / "ours", name, **given), expected)


@pytest.mark.parametrize("loss_type", ["kto", "apo_zero_unpaired"])
def test_kto_has_trls_losses(policy, tmp_path, loss_type):
    given = {"beta": 0.1, "loss_type": loss_type}
    config: Any = parse_config("kto", SMALL | given)
    texts = [
        {"prompt": one["prompt"], "completion": one["chosen" if good else "rejected"], "label": good}
        for i, one in enumerate(TEXTS_WITH_PROMPTS)
        for good in [i % 3 != 0]
    ]
    shared = settings(config, tmp_path / "theirs", policy, train_sampling_strategy="sequential")
    weights = Weights(1.2, 0.7)
    arguments = TRLKTOConfig(
        **shared,
        **given,
        desirable_weight=weights.good,
        undesirable_weight=weights.bad,
        max_length=None,
        gradient_checkpointing=False,
    )
    expected = theirs(TRLKTOTrainer, arguments, policy, texts, ref_model=copy.deepcopy(policy.model))
    trainer = KTOTrainer(
        config=config,
        weights=weights,
        starts_at_reference=True,
        model=copy.deepcopy(policy.model),
        args=TrainingArguments(**shared | {"output_dir": str(tmp_path / "ours")}),
        train_dataset=rotated(policy, texts, size=4),
        data_collator=RatedCollator(0),
    )
    assert_same(losses(trainer), expected)


def rotated(policy: Policy, texts: list[dict[str, Any]], *, size: int) -> list[EncodedRated]:
    """The examples with the partners that TRL gives them: the completion before, in batches of `size`."""
    rows = [row(policy, one["prompt"], one["completion"]) for one in texts]
    others = [place - place % size + (place - 1) % size for place in range(len(texts))]
    partners = [
        row(policy, one["prompt"], texts[other]["completion"]) for one, other in zip(texts, others, strict=True)
    ]
    known = zip(rows, texts, logprobs(policy, rows), partners, logprobs(policy, partners), strict=True)
    return [EncodedRated(one, text["label"], value, partner, other) for one, text, value, partner, other in known]
