"""Builds the starter model: trains the network on a planned number of tokens and writes the weights folder.

    from trainer.starter.build import build
    build(Path("trainer/starter/weights"), tokens=28_000_000, seed=0)

    build(judge, tokens=8_000_000, seed=0, recipe=judge_recipe(), start=Path("trainer/starter/weights"))

Training is in pieces if need be: the state is saved every few minutes, and a second call with the same `state` goes on
from there. The plan is in tokens, not minutes: a busy machine builds later, never another model.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from trainer.starter.card import RECORD, read_record
from trainer.starter.corpus import draw_chat
from trainer.starter.growth import take_over
from trainer.starter.induction import build_in_copying
from trainer.starter.judge.pairs import draw_judgement
from trainer.starter.muon import Muon, split_parameters
from trainer.starter.network import (
    EPSILON,
    ROPE_THETA,
    Parameters,
    Shape,
    create_parameters,
    forward,
    rotations,
    weighted_loss,
)
from trainer.starter.stream import REPEAT_WEIGHT, Batch, Plan, Stream, chat_plan
from trainer.starter.tokenizer import END, PAD, corpus_emoji, save_tokenizer, train_tokenizer, with_whole

MUON_RATE = 0.02
ADAM_RATE = 3e-3
HELD = 0.3  # part of the tokens at the full rate; then linear down
FURTHER_PEAK = 0.5  # of the full rate, for a chat model that is trained further: less is forgotten
JUDGE_PEAK = 0.4  # of the full rate: the judge starts from what the chat model knows
WARM_UP_STEPS = 50
SAVE_SECONDS = 150.0
REPORT_SECONDS = 20.0


def rate_at(progress: float, step: int) -> float:
    """The factor on both learning rates: a short warm-up, held, then linear to one per cent."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    falling = 1.0 if progress < HELD else max(0.01, (1.0 - progress) / (1.0 - HELD))
    return warm * falling


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a build learns: its name is kept in saved states; `peak` is a factor on every learning rate.

    Layers beyond those it starts from lie on top, where they can read what a trained model expected at every token.
    """

    name: str
    plan: Plan
    peak: float = 1.0
    layers: int = 6


def chat_recipe(*, further: bool = False) -> Recipe:
    """The chat model, from scratch or `further` from one that was trained."""
    return Recipe("chat", chat_plan(further=further), FURTHER_PEAK if further else 1.0)


def judge_recipe() -> Recipe:
    """The judge, from the chat model: of a comparison its verdict alone has weight; chats keep what it knows."""
    shares = {"judge": 0.8, "chat": 0.2}
    plan = Plan({"judge": draw_judgement, "chat": draw_chat}, shares, ((1.01, shares),), user_weight=0.0)
    return Recipe("judge", plan, JUDGE_PEAK, layers=8)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the path, then rename: a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.new")
    write(beside)
    beside.replace(path)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path, lambda beside: beside.write_text(text))


def export(parameters: Parameters, tokenizer: Tokenizer, shape: Shape, out: Path) -> None:
    """Write a folder that `AutoModelForCausalLM` and `AutoTokenizer` load; weights as float16."""
    out.mkdir(parents=True, exist_ok=True)
    half = {name: p.detach().to(torch.float16).contiguous() for name, p in parameters.items()}
    write_atomically(out / "model.safetensors", lambda path: save_file(half, path, metadata={"format": "pt"}))
    (out / "model.safetensors").chmod(0o644)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": shape.width // shape.heads,
        "hidden_act": "silu",
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": EPSILON,
        "tie_word_embeddings": True,
        "rope_theta": ROPE_THETA,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA},
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "use_cache": True,
        "dtype": "float16",
        "pad_token_id": PAD,
        "bos_token_id": None,
        "eos_token_id": END,
    }
    generation = {
        "pad_token_id": PAD,
        "eos_token_id": END,
        "do_sample": True,
        "temperature": 0.7,
        "max_new_tokens": 64,
    }
    for name, content in (("config.json", config), ("generation_config.json", generation)):
        _write_json(out / name, content)
    save_tokenizer(tokenizer, out)


class Training:
    """Everything a saved state holds: parameters, both optimisers, the stream, and what was done so far."""

    def __init__(self, tokenizer: Tokenizer, shape: Shape, seed: int, recipe: Recipe | None = None) -> None:
        self.tokenizer, self.seed = tokenizer, seed
        self.shape = shape = replace(shape, vocabulary=tokenizer.get_vocab_size())
        self.recipe = recipe or chat_recipe()
        self.parameters = create_parameters(shape, seed)
        build_in_copying(self.parameters, shape, seed)
        matrices, rest = split_parameters(self.parameters)
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(rest, lr=ADAM_RATE, betas=(0.9, 0.97), weight_decay=0.01)
        self.stream = Stream(tokenizer, seed, self.recipe.plan)
        self.step, self.tokens, self.seconds = 0, 0, 0.0

    def save(self, path: Path) -> None:
        """Write the state atomically."""
        state = {
            "parameters": {name: p.detach() for name, p in self.parameters.items()},
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "stream": self.stream.state(),
            "seed": self.seed,
            "recipe": self.recipe.name,
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "tokenizer": self.tokenizer.to_str(),
        }
        write_atomically(path, lambda beside: torch.save(state, beside))

    @classmethod
    def load(cls, path: Path, shape: Shape, seed: int, recipe: Recipe | None = None) -> "Training":
        """Go on from a saved state, exactly as if there had been no pause.

        Raises ValueError where the state was begun with another seed or recipe.
        """
        recipe = recipe or chat_recipe()
        state = torch.load(path, weights_only=False)  # our own file, written by `save`
        if state["seed"] != seed:
            raise ValueError(f"{path} was begun with seed {state['seed']}, not {seed}: name that seed or remove it.")
        begun = state.get("recipe", "older")  # states before there were recipes know another corpus
        if begun != recipe.name:
            raise ValueError(f"{path} is a state of the {begun} model, not of the {recipe.name}: remove it.")
        training = cls(Tokenizer.from_str(state["tokenizer"]), shape, seed, recipe)
        for name, saved in state["parameters"].items():
            training.parameters[name].data.copy_(saved)
        training.muon.load_state_dict(state["muon"])
        training.adam.load_state_dict(state["adam"])
        training.stream.restore(state["stream"])
        training.step, training.tokens, training.seconds = state["step"], state["tokens"], state["seconds"]
        return training

    @classmethod
    def begin(cls, shape: Shape, seed: int, recipe: Recipe, start: Path | None) -> "Training":
        """A new training, from scratch or from the weights and tokenizer of the folder `start`.

        Layers and emoji that the folder lacks are added, see `growth.py`. Raises ValueError where its shape differs.
        """
        if start is None:
            return cls(train_tokenizer(seed), shape, seed, recipe)
        known = Tokenizer.from_file(str(start / "tokenizer.json"))
        training = cls(with_whole(known, corpus_emoji()), shape, seed, recipe)
        try:
            take_over(training.parameters, load_file(start / "model.safetensors"), training.tokenizer)
        except ValueError as error:
            raise ValueError(f"{start} cannot be trained further: {error} Name a folder of this shape.") from error
        return training

    def update(self, loss_of: Callable[[Batch], tuple[Tensor, Tensor]], progress: float) -> float:
        """One step; returns the loss."""
        batch = self.stream.next_batch(progress)
        loss, repeat_loss = loss_of(batch)
        self.stream.note_repeat_loss(float(repeat_loss))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), 1.0)
        rate = rate_at(progress, self.step) * self.recipe.peak
        self.muon.step(MUON_RATE * rate)
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * rate
        self.adam.step()
        for p in self.parameters.values():
            p.grad = None
        self.step += 1
        self.tokens += batch.ids.numel()
        return float(loss.detach())


def build(
    out: Path,
    tokens: int = 28_000_000,
    seed: int = 0,
    *,
    recipe: Recipe | None = None,
    start: Path | None = None,
    state: Path | None = None,
    threads: int = 1,
    compile_network: bool = True,
    shape: Shape | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """Train on `tokens` tokens in all, from scratch or from the folder `start`, and write the model to `out`.

    With `state`, a file, progress is saved there and a call that finds it goes on, also after the last token of an
    earlier plan if `tokens` is now larger. `start` is a folder that a build made: its record becomes part of the new
    one. Lines with loss, speed and remaining time go to `report`. Another number of
    threads may round sums otherwise: the same model to rounding, not to the bit.
    """
    torch.set_num_threads(threads)
    recipe = recipe or chat_recipe()
    shape = shape or Shape(layers=recipe.layers)
    begun_from = read_record(start) if start is not None else None
    if state is not None and state.exists():
        training = Training.load(state, shape, seed, recipe)
        report(f"going on after {training.tokens / 1e6:.1f}M tokens, {training.seconds / 60:.1f} minutes")
    else:
        training = Training.begin(shape, seed, recipe, start)
    cos, sin = rotations(shape)

    def loss_of(batch: Batch) -> tuple[Tensor, Tensor]:
        logits = forward(
            training.parameters, training.shape, batch.ids, batch.positions, batch.documents, cos, sin, torch.bfloat16
        )
        return weighted_loss(logits, batch.targets, batch.weights, REPEAT_WEIGHT)

    run = torch.compile(loss_of, dynamic=False) if compile_network else loss_of
    reported = saved = training.seconds
    losses: list[float] = []
    tokens_before = training.tokens
    while training.tokens < tokens:
        started = time.monotonic()
        losses.append(training.update(run, training.tokens / tokens))
        training.seconds += time.monotonic() - started
        if training.seconds - reported >= REPORT_SECONDS:
            speed = (training.tokens - tokens_before) / (training.seconds - reported)
            report(
                f"step {training.step} tokens {training.tokens / 1e6:.2f}M loss {sum(losses) / len(losses):.3f} "
                f"repeats {training.stream.repeat_loss:.2f} "
                f"{speed:.0f} tokens/s, {(tokens - training.tokens) / speed / 60:.1f} minutes left"
            )
            reported, losses, tokens_before = training.seconds, [], training.tokens
        if state is not None and training.seconds - saved >= SAVE_SECONDS:
            training.save(state)
            saved = training.seconds
    if state is not None:
        training.save(state)
    export(training.parameters, training.tokenizer, training.shape, out)
    record = {
        "recipe": recipe.name,
        "seed": seed,
        "peak": recipe.peak,
        "planned": tokens,
        "tokens": training.tokens,
        "steps": training.step,
        "seconds": round(training.seconds),
        "start": begun_from,
    }
    _write_json(out / RECORD, record)
    report(
        f"done: {training.step} steps, {training.tokens / 1e6:.1f}M tokens, {training.seconds / 60:.1f} minutes, "
        f"written to {out}"
    )
