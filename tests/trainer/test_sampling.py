"""The draw, against numbers worked by hand."""

import math

import pytest
import torch

from trainer.drawing import NonFiniteLogits, draw, nucleus, uniforms
from trainer.sampling import Sampling

LOGITS = [math.log(0.2), math.log(0.5), math.log(0.3)]  # cumulative in vocabulary order: .2 .7 1.


def drawn(uniform: float, *, temperature: float = 1.0, top_p: float = 1.0) -> int:
    tokens, _ = draw(
        torch.tensor([LOGITS]),
        temperature=torch.tensor([temperature]),
        top_p=torch.tensor([top_p]),
        uniform=torch.tensor([uniform]),
    )
    return int(tokens[0])


def test_the_token_is_the_first_whose_cumulative_probability_is_above_the_uniform_number() -> None:
    assert [drawn(u) for u in (0.0, 0.19, 0.21, 0.69, 0.71, 0.99)] == [0, 0, 1, 1, 2, 2]


def test_the_largest_uniform_number_below_one_draws_the_last_token() -> None:
    assert drawn(1 - 2**-24) == 2


def test_temperature_zero_takes_the_most_likely_token_whatever_the_uniform_number() -> None:
    assert {drawn(u, temperature=0.0) for u in (0.0, 0.5, 0.99)} == {1}


def test_a_low_temperature_sharpens_without_overflow() -> None:
    # at temperature 1/2 the weights are .04 .25 .09, that is .105 .658 .237; cumulative .105 .763 1.
    assert [drawn(u, temperature=0.5) for u in (0.10, 0.11, 0.76, 0.77)] == [0, 1, 1, 2]
    assert {drawn(u, temperature=1e-30) for u in (0.0, 0.5, 0.99)} == {1}


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    # .75: tokens 1 (.5) and 2 (.3), cumulative .625 1.; .5: token 1 alone
    assert [drawn(u, top_p=0.75) for u in (0.0, 0.62, 0.63, 0.99)] == [1, 1, 2, 2]
    assert {drawn(u, top_p=0.5) for u in (0.0, 0.99)} == {1}
    assert [drawn(u, top_p=0.51) for u in (0.0, 0.99)] == [1, 2]


def test_top_p_of_one_row_leaves_the_others_alone() -> None:
    probabilities = torch.tensor([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    kept = nucleus(probabilities, torch.tensor([0.6, 1.0]))
    assert torch.equal(kept, torch.tensor([[0.0, 0.5, 0.3], [0.2, 0.5, 0.3]]))


def test_the_log_probability_is_that_of_temperature_one() -> None:
    tokens, logprobs = draw(
        torch.tensor([LOGITS, LOGITS]),
        temperature=torch.tensor([0.0, 3.0]),
        top_p=torch.tensor([1.0, 0.4]),
        uniform=torch.tensor([0.5, 0.5]),
    )
    assert tokens.tolist() == [1, 1]
    assert logprobs.tolist() == pytest.approx([math.log(0.5)] * 2)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_an_error_and_not_a_token(broken: float) -> None:
    with pytest.raises(NonFiniteLogits):
        draw(
            torch.tensor([[0.0, broken, 1.0]]),
            temperature=torch.tensor([1.0]),
            top_p=torch.tensor([1.0]),
            uniform=torch.tensor([0.5]),
        )


def test_a_row_has_its_own_random_numbers_and_a_longer_limit_only_appends_to_them() -> None:
    alone = uniforms([5], [7])
    together = uniforms([9, 40], [8, 7])
    assert torch.equal(alone[0], together[1, :5])
    assert not torch.equal(together[0, :5], together[1, :5])
    assert torch.equal(uniforms([5], [-3]), uniforms([5], [2**64 - 3]))


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"temperature": -0.1}, "-0.1"),
        ({"temperature": float("nan")}, "nan"),
        ({"top_p": 0.0}, "0.0"),
        ({"max_new_tokens": 0}, "0"),
        ({"stop": ("",)}, "''"),
        ({"stop": "END"}, "END"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_with_their_value(settings: dict[str, object], value: str) -> None:
    with pytest.raises(ValueError, match=value):
        Sampling(**settings)  # type: ignore[arg-type]
