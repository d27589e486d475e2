"""The model card holds what was measured and how the model was made."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from trainer.starter.card import RECORD, read_record, write_card
from trainer.starter.figures import Figure

FIGURES = [Figure("right, greedy", 0.934, 500, 0.95), Figure("judge, both orders agree", 0.97, 400, 0.95)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    record = {"recipe": "chat", "seed": 3, "planned": 9_000_000, "tokens": 9_003_008, "steps": 2198, "seconds": 1800}
    (tmp_path / RECORD).write_text(json.dumps(record))
    config = {"hidden_size": 4, "num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 512}
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 2500, "dtype": "float16"}))
    save_file({"a": np.zeros((1000, 1000), np.float16)}, tmp_path / "model.safetensors")
    return tmp_path


def test_the_card_says_how_large_the_model_is(folder: Path) -> None:
    write_card(folder, FIGURES, judge=False)
    text = (folder / "README.md").read_text()
    assert "1.00 million parameters, width 4, 3 layers" in text and "2,500 entries, float16, 2.0 MB" in text


def test_the_card_shows_value_cases_bar_and_whether_it_was_met(folder: Path) -> None:
    write_card(folder, FIGURES, judge=False)
    assert "| right, greedy | 93.4% | 500 | 95.0% | no |" in (folder / "README.md").read_text()


def test_the_card_says_how_the_model_was_made(folder: Path) -> None:
    write_card(folder, FIGURES, judge=False)
    text = (folder / "README.md").read_text()
    assert "9.0 million tokens" in text and "prefloop starter build --tokens 9000000 --seed 3" in text


def test_the_card_tells_every_stage_of_a_model_that_began_from_another(folder: Path) -> None:
    first = read_record(folder)
    second = first | {"seed": 4, "planned": 5_000_000, "tokens": 5_000_100, "start": first}
    (folder / RECORD).write_text(json.dumps(second))
    write_card(folder, FIGURES, judge=False)
    text = (folder / "README.md").read_text()
    assert text.index("9.0 million tokens (seed 3") < text.index("5.0 million tokens (seed 4")
    assert "--tokens 5000000 --seed 4 --start" in text


def test_the_card_of_a_judge_tells_its_own_stages_and_not_those_of_the_chat_model(folder: Path) -> None:
    chat = read_record(folder)
    first = chat | {"recipe": "judge", "seed": 5, "tokens": 6_000_000, "start": chat}
    second = first | {"seed": 6, "planned": 7_000_000, "tokens": 7_000_000, "start": first}
    (folder / RECORD).write_text(json.dumps(second))
    write_card(folder, FIGURES, judge=True)
    text = (folder / "README.md").read_text()
    assert text.index("6.0 million tokens (seed 5") < text.index("7.0 million tokens (seed 6")
    assert "seed 3" not in text and "--judge --tokens 7000000 --seed 6 --start STAGE_BEFORE" in text


def test_each_model_has_its_own_figures(folder: Path) -> None:
    record = read_record(folder)
    (folder / RECORD).write_text(json.dumps(record | {"recipe": "judge", "start": record}))
    write_card(folder, FIGURES, judge=True)
    text = (folder / "README.md").read_text()
    assert "| judge, both orders agree | 97.0% | 400 | 95.0% | yes |" in text and "right, greedy" not in text


def test_a_folder_that_no_build_made_gets_no_card(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=RECORD):
        write_card(tmp_path, FIGURES, judge=False)
