"""Bottleneck adapters: the base when fresh or off, another model when trained, saved whole, loaded, decoded from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

from trainer import policy as policies
from trainer.adapters import adapter_off, attach_adapter, continue_adapter, parameter_counts, refuse_unmergeable
from trainer.bottleneck import BottleneckSettings, Placement, adapted_mlps, attach_bottleneck
from trainer.generation import generate
from trainer.manifest import CorruptCheckpoint, read_manifest
from trainer.sampling import Sampling

IDS = torch.tensor([[5, 9, 30, 12, 7]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def trained(model: Any) -> Any:
    """As if it had been trained: what starts at 0 no longer is."""
    torch.manual_seed(1)
    for one in adapted_mlps(model):
        torch.nn.init.normal_(one.bottleneck.up.weight, std=0.5)
    return model


def saved(tiny_model_dir: Path, folder: Path, placement: Placement = "in") -> torch.Tensor:
    """A checkpoint of a trained bottleneck; the logits it had."""
    start = policies.load_policy(tiny_model_dir, device="cpu")
    settings = BottleneckSettings(size=6, activation="silu", placement=placement)
    model = trained(attach_adapter(start.model, kind="bottleneck", rank=1, alpha=1, bottleneck=settings))
    origin: dict[str, Any] = {"base": str(tiny_model_dir), "base_digest": start.digest}
    policies.save_checkpoint(folder, model=model, tokenizer=start.tokenizer, kind="adapter", **origin)
    return logits(model)


def test_a_fresh_bottleneck_behind_the_mlp_changes_nothing_and_only_it_is_trained(tiny_model_dir: Path) -> None:
    model: Any = policies.load_policy(tiny_model_dir, device="cpu").model
    before, base = logits(model), sum(p.numel() for p in model.parameters())
    attach_bottleneck(model, BottleneckSettings(size=6))
    assert torch.equal(logits(model), before)
    width, layers = model.config.hidden_size, model.config.num_hidden_layers
    own = layers * (2 * 6 * width + 6 + width)
    assert parameter_counts(model) == {"parameters/trainable": own, "parameters/all": base + own}
    assert all(("bottleneck" in name) == p.requires_grad for name, p in model.named_parameters())


def test_instead_of_the_mlp_only_the_hidden_state_itself_is_left_at_first(tiny_model_dir: Path) -> None:
    model: Any = policies.load_policy(tiny_model_dir, device="cpu").model
    before = logits(model)
    attach_bottleneck(model, BottleneckSettings(size=6, placement="instead"))
    hidden = torch.randn(1, 3, model.config.hidden_size)
    assert torch.equal(adapted_mlps(model)[0](hidden), hidden)
    assert not torch.allclose(logits(model), before, atol=1e-3)


@pytest.mark.parametrize("placement", ["in", "instead"])
def test_switched_off_the_model_is_its_base(tiny_model_dir: Path, placement: Placement) -> None:
    model: Any = policies.load_policy(tiny_model_dir, device="cpu").model
    before = logits(model)
    trained(attach_bottleneck(model, BottleneckSettings(placement=placement)))
    changed = logits(model)
    with adapter_off(model):
        assert torch.equal(logits(model), before)
    assert torch.equal(logits(model), changed) and not torch.allclose(changed, before, atol=1e-3)


@pytest.mark.parametrize("placement", ["in", "instead"])
def test_a_checkpoint_of_it_is_small_and_loads_as_what_was_saved(
    tiny_model_dir: Path, tmp_path: Path, placement: Placement
) -> None:
    expected = saved(tiny_model_dir, tmp_path / "dpo-0001", placement)
    manifest = read_manifest(tmp_path / "dpo-0001")
    assert manifest.kind == "adapter" and {"bottleneck.json", "bottleneck.safetensors"} <= manifest.files.keys()
    assert "model.safetensors" not in manifest.files
    loaded = policies.load_policy(tmp_path / "dpo-0001", device="cpu")
    assert torch.equal(logits(loaded.model), expected)


def test_a_changed_weight_is_found_before_anything_is_served(tiny_model_dir: Path, tmp_path: Path) -> None:
    saved(tiny_model_dir, tmp_path / "dpo-0001")
    weights = tmp_path / "dpo-0001" / "bottleneck.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    with pytest.raises(CorruptCheckpoint, match=r"bottleneck\.safetensors has SHA-256"):
        policies.load_policy(tmp_path / "dpo-0001", device="cpu")


def test_decoding_with_a_cache_gives_what_one_pass_over_the_whole_gives(tiny_model_dir: Path, tmp_path: Path) -> None:
    saved(tiny_model_dir, tmp_path / "dpo-0001")
    policy = policies.load_policy(tmp_path / "dpo-0001", device="cpu")
    messages = [{"role": "user", "content": "Say something"}]
    (made,) = generate(policy, [messages], sampling=Sampling(temperature=0.0, max_new_tokens=12), seeds=[0])
    prompt = policy.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    with torch.no_grad():
        whole = policy.model(torch.tensor([[*prompt, *made.token_ids]])).logits[0, len(prompt) - 1 : -1]
    assert whole.argmax(dim=-1).tolist() == list(made.token_ids)


def test_trained_further_it_is_the_same_adapter_and_no_other_kind_continues_it(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    expected = saved(tiny_model_dir, tmp_path / "dpo-0001")
    base: Any = policies.load_policy(tiny_model_dir, device="cpu").model
    model = continue_adapter(base, tmp_path / "dpo-0001", kind="bottleneck")
    assert torch.equal(logits(model), expected)
    assert {"bottleneck" in name for name, p in model.named_parameters() if p.requires_grad} == {True}
    with pytest.raises(ValueError, match=r"whose adapter is bottleneck, and asks for lora.*set adapter to bottleneck"):
        continue_adapter(base, tmp_path / "dpo-0001", kind="lora")


def test_it_is_said_that_it_cannot_be_merged(tiny_model_dir: Path, tmp_path: Path) -> None:
    saved(tiny_model_dir, tmp_path / "dpo-0001")
    with pytest.raises(ValueError, match=r"dpo-0001 is a bottleneck adapter.*cannot be merged.*start_from to initial"):
        refuse_unmergeable(tmp_path / "dpo-0001")
    refuse_unmergeable(tiny_model_dir)


def test_in_half_precision_the_bottleneck_stays_exact_and_gives_what_it_is_given() -> None:
    settings = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2
    )
    model = attach_bottleneck(LlamaForCausalLM(settings).to(torch.bfloat16), BottleneckSettings(size=4))
    assert adapted_mlps(model)[0].bottleneck.up.weight.dtype == torch.float32
    assert logits(model).dtype == torch.bfloat16


def test_a_model_without_mlps_is_refused_with_what_to_do() -> None:
    settings = OPTConfig(
        vocab_size=40, hidden_size=16, ffn_dim=24, num_hidden_layers=1, num_attention_heads=2, word_embed_proj_dim=16
    )
    with pytest.raises(ValueError, match="OPTForCausalLM has none by that name; choose the adapter lora"):
        attach_bottleneck(OPTForCausalLM(settings), BottleneckSettings())
