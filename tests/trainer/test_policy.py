"""Checkpoint folders: whole or absent, verified, and loaded as the weights that were saved."""

import errno
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

from trainer import policy as policies
from trainer.adapters import attach_adapter
from trainer.manifest import CorruptCheckpoint, base_of, file_digest, read_manifest, verify_manifest

IDS = torch.tensor([[5, 9, 30, 12, 7]])


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def save_adapter(tiny_model_dir: Path, folder: Path) -> torch.Tensor:
    """An adapter checkpoint that changes the model; returns the logits it had when saved."""
    start = policies.load_policy(tiny_model_dir, device="cpu")
    torch.manual_seed(0)
    model = attach_adapter(start.model, kind="lora", rank=2, alpha=4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    saved = logits(model)
    policies.save_checkpoint(
        folder,
        model=model,
        tokenizer=start.tokenizer,
        kind="adapter",
        base=str(tiny_model_dir),
        base_digest=start.digest,
    )
    return saved


def save_full(tiny_model_dir: Path, folder: Path) -> str:
    start = policies.load_policy(tiny_model_dir, device="cpu")
    return policies.save_checkpoint(folder, model=start.model, tokenizer=start.tokenizer, kind="full")


def test_an_adapter_is_merged_onto_its_base_when_loaded(tiny_model_dir: Path, tmp_path: Path):
    saved = save_adapter(tiny_model_dir, tmp_path / "dpo-0001")
    loaded = policies.load_policy(tmp_path / "dpo-0001", device="cpu")
    torch.testing.assert_close(logits(loaded.model), saved, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(saved, logits(policies.load_policy(tiny_model_dir, device="cpu").model), atol=1e-3)


def test_an_adapter_on_a_checkpoint_beside_it_can_be_moved_with_it(tiny_model_dir: Path, tmp_path: Path):
    store = tmp_path / "store"
    digest = save_full(tiny_model_dir, store / "initial")
    start = policies.load_policy(store / "initial", device="cpu")
    assert start.digest == digest
    model = attach_adapter(start.model, kind="lora", rank=2, alpha=4)
    policies.save_checkpoint(
        store / "dpo-0001",
        model=model,
        tokenizer=start.tokenizer,
        kind="adapter",
        base=str(store / "initial"),
        base_digest=digest,
    )
    moved = store.rename(tmp_path / "moved")
    assert base_of(moved / "dpo-0001") == str(moved / "initial")
    policies.load_policy(moved / "dpo-0001", device="cpu")


def test_an_adapter_is_refused_on_a_base_that_has_changed(tiny_model_dir: Path, tmp_path: Path):
    save_adapter(tiny_model_dir, tmp_path / "dpo-0001")
    save_full(tiny_model_dir, tmp_path / "other")
    with pytest.raises(CorruptCheckpoint, match="was trained on a base with digest"):
        policies.load_policy(tmp_path / "dpo-0001", device="cpu", base=tmp_path / "other")


def test_a_changed_file_is_named(tiny_model_dir: Path, tmp_path: Path):
    save_full(tiny_model_dir, tmp_path / "full")
    weights = tmp_path / "full" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CorruptCheckpoint, match=r"model\.safetensors has SHA-256"):
        verify_manifest(tmp_path / "full")
    with pytest.raises(CorruptCheckpoint):
        policies.load_policy(tmp_path / "full", device="cpu")


def test_a_missing_file_is_named(tiny_model_dir: Path, tmp_path: Path):
    save_full(tiny_model_dir, tmp_path / "full")
    (tmp_path / "full" / "tokenizer.json").unlink()
    with pytest.raises(CorruptCheckpoint, match=r"tokenizer\.json is missing"):
        verify_manifest(tmp_path / "full")


def test_the_digest_is_that_of_the_manifest(tiny_model_dir: Path, tmp_path: Path):
    digest = save_full(tiny_model_dir, tmp_path / "full")
    assert digest == file_digest(tmp_path / "full" / "manifest.json")
    assert digest == verify_manifest(tmp_path / "full")


def test_a_checkpoint_is_never_overwritten(tiny_model_dir: Path, tmp_path: Path):
    digest = save_full(tiny_model_dir, tmp_path / "full")
    with pytest.raises(FileExistsError, match="never overwritten"):
        save_full(tiny_model_dir, tmp_path / "full")
    assert verify_manifest(tmp_path / "full") == digest


def test_a_save_that_dies_leaves_no_checkpoint_and_the_next_one_succeeds(tiny_model_dir, tmp_path, monkeypatch):
    def die(self, folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "save_pretrained", die)
        with pytest.raises(KeyboardInterrupt):
            save_full(tiny_model_dir, tmp_path / "full")
    assert not (tmp_path / "full").exists()
    save_full(tiny_model_dir, tmp_path / "full")
    verify_manifest(tmp_path / "full")
    assert not (tmp_path / "full.tmp").exists()


def test_a_save_on_a_full_disk_leaves_nothing_that_keeps_it_full(tiny_model_dir, tmp_path, monkeypatch):
    def full(self, folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PreTrainedTokenizerFast, "save_pretrained", full)
    with pytest.raises(OSError, match="No space left"):
        save_full(tiny_model_dir, tmp_path / "full")
    assert list(tmp_path.iterdir()) == []


def test_no_pickle_is_written(tiny_model_dir: Path, tmp_path: Path):
    save_adapter(tiny_model_dir, tmp_path / "adapter")
    save_full(tiny_model_dir, tmp_path / "full")
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".jinja"}


def test_a_reward_model_scores_as_it_did_when_saved(tiny_model_dir: Path, tmp_path: Path):
    tokenizer = policies.load_tokenizer(tiny_model_dir)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model_dir, num_labels=1, dtype=torch.float32)
    saved = logits(model)
    policies.save_checkpoint(tmp_path / "reward", model=model, tokenizer=tokenizer, kind="reward_model")
    loaded = policies.load_reward_model(tmp_path / "reward", device="cpu")
    torch.testing.assert_close(logits(loaded.model), saved)
    with pytest.raises(ValueError, match="load_reward_model"):
        policies.load_policy(tmp_path / "reward", device="cpu")


def test_a_manifest_of_another_format_is_refused(tiny_model_dir: Path, tmp_path: Path):
    save_full(tiny_model_dir, tmp_path / "full")
    manifest = tmp_path / "full" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 2}))
    with pytest.raises(CorruptCheckpoint, match="has format 2"):
        read_manifest(tmp_path / "full")


def test_a_source_that_does_not_exist_is_named():
    with pytest.raises(FileNotFoundError, match="/no/such/folder is neither a folder nor a hub id"):
        policies.load_policy("/no/such/folder")


def test_a_folder_without_safetensors_is_refused_with_the_remedy(tmp_path: Path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(FileNotFoundError, match=r"no \*\.safetensors file; convert"):
        policies.load_policy(tmp_path)


def test_a_tokenizer_without_template_speaks_human_and_assistant(tiny_model_dir: Path, tmp_path: Path):
    bare = policies.load_tokenizer(tiny_model_dir)
    bare.chat_template = None
    bare.save_pretrained(tmp_path)
    tokenizer = policies.load_tokenizer(tmp_path)
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": " Hello"},
        {"role": "user", "content": "Bye"},
    ]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    bos, eos = tokenizer.bos_token or "", tokenizer.eos_token
    assert text == f"{bos}Be brief.\n\nHuman: Hi\n\nAssistant: Hello{eos}\n\nHuman: Bye\n\nAssistant:"


def test_the_plain_template_marks_what_the_assistant_wrote(tiny_model_dir: Path):
    tokenizer = policies.load_tokenizer(tiny_model_dir)
    tokenizer.chat_template = policies.PLAIN_TEMPLATE
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]
    encoded = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    marked = [i for i, m in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(marked).strip() == f"Yes{tokenizer.eos_token}"


def test_a_tokenizer_pads_on_the_left_and_has_a_pad_token(tiny_model_dir: Path):
    tokenizer = policies.load_tokenizer(tiny_model_dir)
    assert tokenizer.padding_side == "left"
    assert tokenizer.pad_token_id is not None


def test_full_training_needs_gradients_everywhere(tiny_model_dir: Path):
    model = policies.load_policy(tiny_model_dir, device="cpu").model.requires_grad_(False)
    assert all(p.requires_grad for p in attach_adapter(model, kind="full", rank=1, alpha=1).parameters())
