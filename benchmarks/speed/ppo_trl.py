"""TRL 1.12's PPO on the same prompts with the same reward: its defaults but for what a CPU needs and what both share.

Its value is a model of its own, as large as the policy; ours is a linear head on the policy.
"""

from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.experimental.ppo import PPOConfig, PPOTrainer

from speed.setting import ALPHA, PPO_BATCH, PPO_EPOCHS, RANK, SEED, TEMPERATURE, asked
from speed.task import Task, classifier
from trainer.adapters import lora_settings


def ppo_trl(task: Task) -> dict[str, Any]:
    size = task.size
    tokenizer = AutoTokenizer.from_pretrained(task.model, padding_side="left")
    batch = min(PPO_BATCH, size.rollouts)
    prompts = [
        {"input_ids": tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)}
        for prompt in asked(size.episodes)
    ]
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=str(task.folder / "work"),
            total_episodes=size.episodes,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=size.rollouts // batch,
            num_ppo_epochs=PPO_EPOCHS,
            response_length=size.new_tokens,
            temperature=TEMPERATURE,
            stop_token="eos",
            missing_eos_penalty=1.0,
            learning_rate=3e-4,
            num_sample_generations=0,
            use_cpu=True,
            bf16=False,
            seed=SEED,
            disable_tqdm=True,
            report_to="none",
            dataloader_pin_memory=False,
        ),
        processing_class=tokenizer,
        model=AutoModelForCausalLM.from_pretrained(task.model, dtype="float32"),
        ref_model=None,
        reward_model=classifier(task.model),
        value_model=classifier(task.model),
        train_dataset=Dataset.from_list(prompts),
        peft_config=lora_settings(rank=RANK, alpha=ALPHA),
    )
    trainer.train()
    trainer.save_model(str(task.folder / "checkpoint"))
    return {"steps": trainer.state.global_step * size.rollouts}
