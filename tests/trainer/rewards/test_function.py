"""A person's own function: only where it is allowed, and held to the signature."""

from pathlib import Path

import pytest
from rewarding import asked

from trainer.rewards import terms
from trainer.rewards.base import RewardError, RewardSources
from trainer.rewards.opening import open_term

CODE = """
import numpy as np

NUMBER = 3
def by_length(prompts, completions, references):
    return [None if reference is None else len(text) for text, reference in zip(completions, references)]
def as_array(prompts, completions, references):
    return np.arange(len(completions)) > 0
def too_few(prompts, completions, references):
    return [1.0]
def a_text(prompts, completions, references):
    return "ab"
def a_word(prompts, completions, references):
    return [1.0, "good"]
def a_number(prompts, completions, references):
    return 1.0
def fails(prompts, completions, references):
    return [1 / 0]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_rewards_of_a_test.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_rewards_of_a_test"


def called(path: str) -> list[float | None]:
    reward = open_term(terms.Function(path=path), RewardSources(functions=frozenset({path})))
    return reward(asked("a", "b"), ["one", "three"], ["x", None])


def test_it_is_called_with_the_signature_of_all(module: str):
    assert called(f"{module}:by_length") == [3.0, None]


def test_an_array_of_numpy_is_as_good_as_a_list(module: str):
    assert called(f"{module}:as_array") == [0.0, 1.0]


def test_what_the_operator_has_not_allowed_is_not_even_imported(module: str):
    import sys

    sys.modules.pop(module, None)
    with pytest.raises(RewardError, match=f"{module}:by_length is not allowed here; allowed: other:one"):
        open_term(terms.Function(path=f"{module}:by_length"), RewardSources(functions=frozenset({"other:one"})))
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("too_few", "1 values for 2 completions"),
        ("a_text", "gave a str for 2 completions"),
        ("a_number", "gave a float for 2 completions"),
        ("a_word", "'good' \\(str\\) for completion 1"),
        ("fails", "ZeroDivisionError: division by zero"),
        ("NUMBER", "is of type int, not a function"),
        ("absent", "cannot be loaded"),
    ],
)
def test_what_it_does_wrong_is_told_with_its_path(module: str, name: str, told: str):
    with pytest.raises(RewardError, match=f"{module}:{name}.*{told}"):
        called(f"{module}:{name}")


def test_a_module_that_is_not_there_is_told():
    with pytest.raises(RewardError, match="no_such_module_of_a_test:f cannot be loaded: ModuleNotFoundError"):
        called("no_such_module_of_a_test:f")
