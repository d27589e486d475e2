"""The fit of the reference's value: states without padding's trace, a mean to start from, an end where it helps."""

import pytest
import torch
from recorder import Recorder

from trainer.algorithms.value_fit import EncodedPrompt, fit_head, fitted_values, prompt_states, values_of
from trainer.configs import ALoLConfig
from trainer.examples import encode
from trainer.policy import load_policy
from trainer.reporter import Stopped

SETTINGS = ALoLConfig(reward="reward_model-0001", value_samples=2, value_epochs=60, value_learning_rate=3e-3)


def prompts_of(policy, count: int) -> list[EncodedPrompt]:
    messages = [[{"role": "user", "content": "x" * (1 + i % 5) + str(i)}] for i in range(count)]
    return [EncodedPrompt(m, encode(policy.tokenizer, m, ["a"], max_length=64).prompt) for m in messages]


def some_states(count: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Prompts of 3 to 5 tokens of which the worth is the first number of every token."""
    generator = torch.Generator().manual_seed(0)
    states = [torch.randn(3 + i % 3, 16, generator=generator) for i in range(count)]
    target = torch.linspace(0, 1, count)[torch.randperm(count, generator=generator)]
    for state, worth in zip(states, target, strict=True):
        state[:, 0] = 4 * worth - 2
    return states, target


def fitted_head(states, target):
    return fit_head(states, target, SETTINGS, largest=1.0, seed=1, reporter=Recorder()).head


def fitted(policy, scored, *, count=6, recorder=None):
    return fitted_values(
        prompts_of(policy, count),
        policy,
        scored,
        SETTINGS,
        largest=1.0,
        seed=0,
        batch_size=4,
        max_new_tokens=4,
        reporter=recorder or Recorder(),
    )


def test_prompt_states_do_not_depend_on_batch_mates(tiny_model_dir):
    policy = load_policy(tiny_model_dir, device="cpu")
    prompts = [prompt.ids for prompt in prompts_of(policy, 7)]
    together = prompt_states(prompts, policy, batch_size=7)
    alone = prompt_states(prompts, policy, batch_size=1)
    assert [len(states) for states in together] == [len(prompt) for prompt in prompts]
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_head_learns_what_prompts_are_worth_and_beats_the_constant_on_held_out_ones():
    states, target = some_states(60)
    fit = fit_head(states, target, SETTINGS, largest=1.0, reporter=Recorder(), seed=0)
    assert fit.error < 0.3 * fit.constant_error
    found = values_of(fit.head, states)
    assert torch.corrcoef(torch.stack([found, target]))[0, 1] > 0.9


def test_a_head_that_cannot_learn_stays_at_the_mean():
    states, _ = some_states(40)
    noise = torch.rand(40, generator=torch.Generator().manual_seed(1))
    fit = fit_head(states, noise, SETTINGS, largest=1.0, reporter=Recorder(), seed=0)
    assert fit.error <= fit.constant_error
    assert fit.passes < SETTINGS.value_epochs


def test_one_prompt_has_the_mean_of_its_samples():
    fit = fit_head(some_states(1)[0], torch.tensor([0.3]), SETTINGS, largest=1.0, reporter=Recorder(), seed=0)
    assert values_of(fit.head, some_states(1)[0]).tolist() == pytest.approx([0.3])


def test_the_fit_is_the_same_each_time_and_leaves_the_global_generator_alone():
    states, target = some_states(20)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = values_of(fitted_head(states, target), states)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(values_of(fitted_head(states, target), states), one)


def test_each_different_prompt_is_sampled_as_often_as_asked(tiny_model_dir):
    policy, asked, recorder = load_policy(tiny_model_dir, device="cpu"), [], Recorder()

    def scored(prompts, completions):
        asked.extend(prompt[0]["content"] for prompt in prompts)
        return torch.full((len(prompts),), 0.25)

    values = fitted(policy, scored, recorder=recorder)
    assert values.tolist() == pytest.approx([0.25] * 6, abs=0.02)
    assert sorted(asked) == sorted([prompt.messages[0]["content"] for prompt in prompts_of(policy, 6)] * 2)
    assert recorder.stages == ["sampling the reference", "fitting the reference's value", "training"]
    assert any("mean reward 0.250" in line for line in recorder.lines)


def test_a_prompt_whose_samples_have_no_reward_still_has_a_value(tiny_model_dir):
    policy = load_policy(tiny_model_dir, device="cpu")

    def scored(prompts, completions):
        return torch.tensor([float("nan") if prompt[0]["content"].endswith("0") else 0.5 for prompt in prompts])

    assert fitted(policy, scored).tolist() == pytest.approx([0.5] * 6, abs=0.05)
    with pytest.raises(ValueError, match="says nothing of any completion the reference sampled"):
        fitted(policy, lambda prompts, completions: torch.full((len(prompts),), float("nan")))


def test_sampling_ends_where_a_stop_is_asked_for(tiny_model_dir):
    policy = load_policy(tiny_model_dir, device="cpu")
    with pytest.raises(Stopped, match="while the reference was sampled"):
        fitted(policy, lambda *_: torch.zeros(12), recorder=Recorder(stop_after=1))


def test_the_fit_ends_where_a_stop_is_asked_for():
    states, target = some_states(10)
    with pytest.raises(Stopped, match="value was fitted"):
        fit_head(states, target, SETTINGS, largest=1.0, seed=0, reporter=Recorder(stop_after=1))
