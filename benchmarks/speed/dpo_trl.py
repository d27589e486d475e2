"""TRL's DPOTrainer on the same pairs: its defaults but for what a CPU needs (float32) and the settings both share."""

from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import DPOConfig, DPOTrainer

from speed.setting import ALPHA, BETA, EPOCHS, MAX_LENGTH, RANK, SEED, pairs
from speed.task import Task
from trainer.adapters import lora_settings


def dpo_trl(task: Task) -> dict[str, Any]:
    return _train(task, checkpointing=False)


def dpo_trl_checkpointing(task: Task) -> dict[str, Any]:
    """With gradient checkpointing, which is TRL's default."""
    return _train(task, checkpointing=True)


def _train(task: Task, *, checkpointing: bool) -> dict[str, Any]:
    model = AutoModelForCausalLM.from_pretrained(task.model, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    rows = [
        {"prompt": pair.prompt, "chosen": _reply(pair.chosen), "rejected": _reply(pair.rejected)}
        for pair in pairs(task.size.pairs)
    ]
    set_seed(SEED)  # the adapter's first weights
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(
            output_dir=str(task.folder / "work"),
            learning_rate=task.size.learning_rate,
            beta=BETA,
            max_length=MAX_LENGTH,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=task.size.batch,
            warmup_steps=0.1,
            gradient_checkpointing=checkpointing,
            use_cpu=True,
            bf16=False,
            seed=SEED,
            data_seed=SEED,
            logging_steps=1,
            disable_tqdm=True,
            report_to="none",
            dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora_settings(rank=RANK, alpha=ALPHA),
    )
    trainer.train()
    trainer.save_model(str(task.folder / "checkpoint"))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"steps": trainer.state.global_step, "losses": losses}


def _reply(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
