"""Every loss against figures made by running other implementations' own code; the files say which, at what commit.

Inputs and expectations come from tests/golden. Where a reference implementation has a known mistake, the case is given
the inputs under which it computes the equation, and that is said beside it.
"""

import json
from functools import cache
from pathlib import Path

import numpy
import pytest
import torch

from trainer.advantage_sampling import draws, pick, scaled_steps
from trainer.losses import groups, pairs, pairs_without_reference, token_rewards, unpaired
from trainer.losses.clipped import policy_loss, value_loss
from trainer.losses.kl_control import AdaptiveKL
from trainer.losses.likelihood import completion_logprobs, keep, masked_sum
from trainer.losses.normalisation import RunningMoments, to_unit, whiten
from trainer.losses.offline import OfflineBatch, offline_loss
from trainer.losses.pair_mixture import PairLogprobs, PairSettings, pair_loss
from trainer.losses.pro import pro_loss
from trainer.losses.scores import best_of_k_loss, diverging_token_loss, pair_score_loss
from trainer.reference_value import ReferenceValueHead

FOLDER = Path(__file__).parents[2] / "golden"


@cache
def cases(file: str) -> list[dict]:
    return json.loads((FOLDER / f"{file}.json").read_text())["cases"]


def every(file: str, *starts: str):
    """Parametrise a test by the file's cases whose name starts with one of `starts`, all by default."""
    found = [case for case in cases(file) if not starts or case["name"].startswith(starts)]
    assert found, (file, starts)
    return pytest.mark.parametrize("case", found, ids=[case["name"] for case in found])


def tensor(values, *, grad: bool = False) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def inputs(case: dict, *differentiable: str) -> dict[str, torch.Tensor]:
    numbers = {k: v for k, v in case["inputs"].items() if isinstance(v, list)}
    return {k: tensor(v, grad=k in differentiable) for k, v in numbers.items()}


def same(found, expected, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(
        torch.as_tensor(found, dtype=torch.float64).detach(), tensor(expected), rtol=tolerance, atol=tolerance
    )


# ------------------------------------------------------------------------------------------------ pairs


@every("dpo_sequence")
def test_losses_on_summed_log_probabilities(case):
    x, params = inputs(case, "chosen", "rejected"), case["params"]
    ones = torch.ones(len(x["chosen"]))
    batch = PairLogprobs(x["chosen"], x["rejected"], x["ref_chosen"], x["ref_rejected"], ones, ones)
    name = {"ipo": "ipo_sum"}.get(params["loss_type"], params["loss_type"])
    settings = PairSettings(
        beta=params["beta"],
        label_smoothing=params.get("label_smoothing", 0.0),
        reference_free=params.get("reference_free", False),
    )
    result = pair_loss(batch, [(name, 1.0)], settings)
    result.losses.mean().backward()
    same(result.losses, case["expected"]["per_pair_loss"])
    for side in ("chosen", "rejected"):
        same(x[side].grad, case["expected"]["grads"][side])
    if "implicit_rewards" in case["expected"]:
        same(torch.stack([result.chosen_rewards, result.rejected_rewards]), case["expected"]["implicit_rewards"])


@every("dpo_trl")
def test_losses_on_token_log_probabilities(case):
    x, params = inputs(case, "policy_token_logps"), case["params"]
    mask = x["mask"]
    policy, reference = (masked_sum(x[k], mask) for k in ("policy_token_logps", "ref_token_logps"))
    sides = (*policy.chunk(2), *reference.chunk(2), *mask.sum(dim=-1).chunk(2))
    divergence = {"js_divergence": "js"}.get(params.get("f_divergence_type"), params.get("f_divergence_type"))
    settings = PairSettings(
        beta=params["beta"],
        label_smoothing=params.get("label_smoothing", 0.0),
        divergence=divergence or "reverse_kl",
    )
    result = pair_loss(PairLogprobs(*sides), [(params["loss_type"], 1.0)], settings)
    result.losses.mean().backward()
    tolerance = 1e-6 if params["loss_type"] == "exo_pair" else 1e-9
    if params["loss_type"] != "sft":  # TRL spreads the batch's mean over the pairs, we keep each pair's own share
        same(result.losses, case["expected"]["per_pair_loss"], tolerance)
    same(result.losses.mean(), case["expected"]["loss"], tolerance)
    same(x["policy_token_logps"].grad, case["expected"]["grad_wrt_token_logps"], tolerance)


@every("orpo_simpo_cpo_kto", "cpo", "orpo")
def test_losses_without_a_reference(case):
    x, params = inputs(case), case["params"]
    names = ("avg_chosen", "avg_rejected") if "avg_chosen" in x else ("chosen", "rejected")
    chosen, rejected = (x[name].requires_grad_() for name in names)
    one, beta = torch.ones(len(chosen)), params["beta"]
    smoothing = params.get("label_smoothing", 0.0)
    kind = params["loss_type"]
    if kind == "orpo_odds_ratio_term":
        losses = pairs_without_reference.odds_ratio_loss(chosen, rejected, one, one, beta=beta)
    elif kind == "cpo_simpo":
        losses = pairs_without_reference.simpo_loss(
            chosen, rejected, one, one, beta=beta, gamma=params["simpo_gamma"], label_smoothing=smoothing
        )
    elif kind == "cpo_sigmoid":
        losses = pairs_without_reference.cpo_loss(chosen, rejected, beta=beta, label_smoothing=smoothing)
    else:
        losses = {"cpo_hinge": pairs.hinge_loss, "cpo_ipo": pairs.ipo_loss}[kind](chosen - rejected, beta=beta)
    losses.mean().backward()
    tolerance = 1e-5 if kind.startswith("orpo") else 1e-9
    same(losses, case["expected"].get("per_pair"), tolerance)
    same(chosen.grad, case["expected"]["grads"]["chosen"], tolerance)
    same(rejected.grad, case["expected"]["grads"]["rejected"], tolerance)


@every("orpo_simpo_cpo_kto", "kto", "apo_zero_unpaired")
def test_kto(case):
    x, params = inputs(case, "chosen", "rejected"), case["params"]
    good = torch.cat([torch.ones(len(x["chosen"])), torch.zeros(len(x["rejected"]))])
    baseline = unpaired.kto_baseline(x["kl_policy_logps"], x["kl_ref_logps"]) if params["loss_type"] == "kto" else 0.0
    result = unpaired.kto_loss(
        torch.cat([x["chosen"], x["rejected"]]),
        torch.cat([x["ref_chosen"], x["ref_rejected"]]),
        good,
        beta=params["beta"],
        baseline=baseline,
        desirable_weight=params["desirable_weight"],
        undesirable_weight=params["undesirable_weight"],
    )
    result.losses.mean().backward()
    same(torch.as_tensor(baseline).reshape(1), tensor(case["expected"]["kl"]).reshape(1).tolist())
    same(result.losses, case["expected"]["per_example_chosen_then_rejected"])
    for side in ("chosen", "rejected"):
        same(x[side].grad, case["expected"]["grads"][side])


# ------------------------------------------------------------------------------------------------ PRO


@every("pro")
def test_pro(case):
    x = inputs(case, "sum_logps")
    result = pro_loss(
        x["sum_logps"],
        x["lengths"],
        x["rewards"],
        sft_weight=case["params"]["sft_weight"],
        sft_index=x["sft_index"].long(),
    )
    result.losses.mean().backward()
    same(result.losses.mean(), case["expected"]["loss"])
    same(result.ranking_terms.mean(dim=0), case["expected"]["ranking_terms"])
    same(result.sft.mean(), case["expected"]["sft_term"])
    same(x["sum_logps"].grad, case["expected"]["grad_wrt_sum_logps"])


@every("pro_masking")
def test_pro_from_logits_with_the_positions_that_each_implementation_scores(case):
    x = inputs(case)
    batch, width, _ = x["input_ids"].shape
    logits = x["logits_per_candidate"].transpose(0, 1).flatten(0, 1)
    ids = x["input_ids"].long().flatten(0, 1)
    # both drop the last column of a mask that is not shifted; as a mask over tokens it is that mask, one to the right
    theirs = ((x["prefix_mask"] == 0) & (x["attention_mask"] == 1)).flatten(0, 1)
    mask = torch.cat([torch.zeros_like(theirs[:, :1]), theirs[:, :-1]], dim=-1)
    logprobs, mask = completion_logprobs(logits, ids, mask)
    sums, lengths = (v.view(batch, width) for v in (masked_sum(logprobs, mask), mask.sum(dim=-1)))
    same(sums, case["expected"]["sum_logps"])
    same(lengths, case["expected"]["lengths"])
    result = pro_loss(sums, lengths, x["rewards"], sft_weight=case["params"]["sft_weight"])
    same(result.losses.mean(), case["expected"]["loss"])


# ------------------------------------------------------------------------------------------------ offline RL


def offline_name(params: dict) -> str:
    name = {"r_gold": "reward_gold"}.get(params["algorithm"], params["algorithm"])
    return f"{name}_kl" if params["kl_beta"] and name in ("r_lol", "a_lol") else name


@every("lolrl_generic")
@pytest.mark.parametrize("tolerance", [1e-9])
def test_offline_losses_of_the_general_script(case, tolerance):
    check_offline(case, tolerance)


@every("lolrl_hha")
@pytest.mark.parametrize("tolerance", [1e-6])
def test_offline_losses_of_the_hh_script(case, tolerance):
    check_offline(case, tolerance)


def check_offline(case: dict, tolerance: float) -> None:
    x, params, expected = inputs(case, "policy_logps"), case["params"], case["expected"]
    rewards, values = x["rewards"], x["values"]
    if "advantages" in x:  # the HH script's ref-free loss takes stored advantages as they are
        rewards, values = x["advantages"], torch.zeros_like(values)
    batch = OfflineBatch(x["policy_logps"], x["mask"], rewards, x["ref_logps"], values)
    if case["name"].startswith("a_lol_ref_free/unclamped"):
        # unclamped it is WBC with the advantage as reward; ours clamps
        result = offline_loss("wbc", batch)
    else:
        result = offline_loss(
            offline_name(params), batch, clip=params["ppo_clip"] or None, kl_beta=params["kl_beta"] or 0.0
        )
    result.losses.mean().backward()
    same(result.losses.mean(), expected["loss"], tolerance)
    same(x["policy_logps"].grad, expected["grad_wrt_policy_logps"], tolerance)
    if "per_sequence_loss" in expected:
        same(result.losses, expected["per_sequence_loss"], tolerance)
    if "advantage" in expected:
        same(result.advantages.clamp(min=0), expected["advantage"], tolerance)
    if "importance_sampling_ratio_per_token" in expected:
        gain = result.advantages.clamp(min=0).unsqueeze(-1)
        theirs = tensor(expected["importance_sampling_ratio_per_token"])
        same(result.weights, keep(gain * theirs, x["mask"]).tolist(), tolerance)


@every("lolrl_sampling", "good_priority", "good_random", "all_priority")
def test_draws_by_advantage(case):
    x, expected = inputs(case), case["expected"]
    distribution = draws(case["params"]["sampling_strategy"], x["good_advantages"], x["bad_advantages"])
    assert distribution.places.tolist() == expected["sample_indices"]
    same(distribution.probabilities, expected["sample_probs"])
    same(distribution.probabilities.cumsum(dim=0), expected["cumulative"])
    preferred = len(x["good_advantages"])
    assert scaled_steps(9000, distribution, preferred) == expected["max_steps_from_9000"]
    assert scaled_steps(900, distribution, preferred) == expected["eval_steps_from_900"]
    uniforms = numpy.random.RandomState(case["params"]["numpy_seed"]).random_sample(200)
    assert pick(distribution, torch.from_numpy(uniforms)).tolist() == expected["first_50_batches_of_4_flattened"]


@every("lolrl_sampling", "generic_train_sampling")
def test_draws_of_the_general_script(case):
    distribution = draws("good_priority", inputs(case)["advantages"])
    assert distribution.places.tolist() == case["expected"]["sample_indices"]
    same(distribution.probabilities, case["expected"]["sample_probs"])


@every("lolrl_value_head")
def test_the_value_head_with_the_reference_implementations_weights(case):
    params = case["params"]
    head = ReferenceValueHead(params["hidden_size"], heads=params["num_heads"], max_value=params["max_value"]).double()
    names = {"seq_query_weights": "query", "source_seq_multihead_attn": "attention"}
    state = {}
    for name, value in case["inputs"]["state_dict"].items():
        first, *rest = name.split(".")
        state[".".join([names.get(first, first), *rest])] = tensor(value).reshape(
            head.state_dict()[".".join([names.get(first, first), *rest])].shape
        )
    head.load_state_dict(state)
    states = tensor(case["inputs"]["hidden_states"])
    same(head.values(states, torch.ones(states.shape[:2])), case["expected"]["values"])
    padded = torch.cat([tensor(case["inputs"]["left_pad_states"]), states], dim=1)
    # without a mask the reference implementation attends to padding; with one the value stays
    same(head.values(padded, torch.ones(padded.shape[:2])), case["expected"]["values_with_two_left_pad_positions"])
    mask = torch.ones(padded.shape[:2])
    mask[:, :2] = 0
    same(head.values(padded, mask), case["expected"]["values"])


# ------------------------------------------------------------------------------------------------ PPO


@every("ppo_losses")
def test_policy_and_value_loss(case):
    x, params, expected = inputs(case, "new_logprobs", "new_values"), case["params"], case["expected"]
    mask = x["mask"] if params["masked"] else torch.ones_like(x["mask"])
    aggregation = "token" if params.get("token_level_loss", True) else "sequence"
    policy = policy_loss(
        x["new_logprobs"],
        x["old_logprobs"],
        x["advantages"],
        mask,
        clip=params["cliprange"],
        dual_clip=params.get("dual_clip"),
        aggregation=aggregation,
        max_mean_ratio=10.0 if params["impl"].startswith("trl-0.7.1") else None,
    )
    value = value_loss(
        x["new_values"],
        x["old_values"],
        x["returns"],
        x.get("value_mask", mask),
        clip=params["cliprange_value"],
        aggregation=aggregation,
    )
    weight = params.get("vf_coef", 1.0)
    (policy.loss + weight * value.loss).backward()
    tolerance = 1e-9 if aggregation == "token" else 1e-8
    same(policy.loss, expected["policy_loss"], tolerance)
    # TRL 0.7.1 reports its value loss with the weight in
    same(value.loss, expected["value_loss"] if "value_loss" in expected else expected["total"], tolerance)
    same(x["new_logprobs"].grad, expected["grad_new_logprobs"], tolerance)
    assert not policy.skipped
    if "total" in expected:
        same(policy.loss + weight * value.loss, expected["total"], tolerance)
    if "ppo_kl" in expected:
        same(policy.old_kl, expected["ppo_kl"])
    if "clip_fraction" in expected:
        same(policy.clip_fraction, expected["clip_fraction"], 1e-7)
    if "value_clip_fraction" in expected:
        same(value.clip_fraction, expected["value_clip_fraction"], 1e-7)
    same(x["new_values"].grad, expected["grad_new_values"], tolerance)


@every("ppo_rewards_gae", "lmhp")
def test_rewards_and_advantages_of_lmhp(case):
    x, params, expected = inputs(case), case["params"], case["expected"]
    ids = x["responses"].long()
    # LMHP finds the stop at or after `truncate_after`, keeps it, and pads what follows
    kept = token_rewards.completion_until_stop(ids, params["truncate_token"], start=params["truncate_after"])
    assert torch.where(kept, ids, params["pad"]).tolist() == case["expected"]["postprocessed_responses"]
    ended = (ids[:, params["truncate_after"] :] == params["truncate_token"]).any(dim=-1)
    scores = token_rewards.penalise_missing_end(x["scores"], ended, penalty=-params["penalty"], mode="replace")
    same(scores, expected["scores_after_penalty"])
    everywhere = torch.ones_like(ids)  # LMHP has no mask: the score is on the last of a fixed number of positions
    kl = token_rewards.kl_per_token(x["logprobs"], x["ref_logprobs"], everywhere)
    rewards = token_rewards.shaped_rewards(kl, scores, everywhere, coefficient=params["kl_coef"])
    if params["whiten_rewards"]:
        rewards = whiten(rewards, keep_mean=True, unbiased=False)
    same(rewards, expected["per_token_rewards"])
    found = token_rewards.gae(rewards, x["values"], everywhere, gamma=params["gamma"], lam=params["lam"])
    same(found.advantages, expected["advantages_raw"])
    same(found.returns, expected["returns"])
    same(whiten(found.advantages, unbiased=False), expected["advantages_whitened"])


@every("ppo_rewards_gae", "trl0.7.1")
def test_rewards_and_advantages_of_trl_0_7_1(case):
    x, params, expected = inputs(case), case["params"], case["expected"]
    mask = x["mask"]
    estimator = {"kl": "k1", "mse": "k2"}.get(params["kl_penalty"], params["kl_penalty"])
    kl = token_rewards.kl_per_token(x["logprobs"], x["ref_logprobs"], mask, estimator=estimator)
    rewards = token_rewards.shaped_rewards(kl, x["scores"], mask, coefficient=params["kl_coef"])
    same(rewards, keep(tensor(expected["per_token_rewards"]), mask).tolist())
    found = token_rewards.gae(rewards, x["values"], mask, gamma=params["gamma"], lam=params["lam"])
    same(found.returns, keep(tensor(expected["returns"]), mask).tolist(), 1e-6)
    same(whiten(found.advantages, mask), keep(tensor(expected["advantages_whitened"]), mask).tolist(), 1e-6)


@every("ppo_rewards_gae", "trl-head")
def test_rewards_and_advantages_of_trls_later_ppo(case):
    x, params, expected = inputs(case), case["params"], case["expected"]
    width = x["logprobs"].shape[-1]
    place, last = torch.arange(width), x["last_token_index"].unsqueeze(-1)
    tokens = place <= last
    longer = (
        place <= last + 1
    )  # TRL scores one position after the last token where there is room, and keeps a value there
    ended = (x["postprocessed_responses"].long() == params["eos"]).any(dim=-1)
    scores = x["scores"]
    if params["missing_eos_penalty"] is not None:
        scores = token_rewards.penalise_missing_end(
            scores, ended, penalty=params["missing_eos_penalty"], mode="subtract"
        )
    same(scores, expected["scores_after_penalty"])
    kl = token_rewards.kl_per_token(x["logprobs"], x["ref_logprobs"], tokens, estimator=params["kl_estimator"])
    rewards = token_rewards.shaped_rewards(kl, scores, longer, coefficient=params["kl_coef"])
    if params["whiten_rewards"]:
        rewards = whiten(rewards, longer, keep_mean=True)
    same(rewards, expected["per_token_rewards"], 1e-6)
    assert (longer.sum(dim=-1) - 1).tolist() == expected["score_position"]
    found = token_rewards.gae(rewards, x["values"], longer, gamma=params["gamma"], lam=params["lam"])
    same(found.returns, keep(tensor(expected["returns"]), longer).tolist(), 1e-6)
    same(whiten(found.advantages, tokens), expected["advantages_whitened"], 1e-6)


@every("ppo_rewards_gae", "openrlhf")
def test_rewards_and_advantages_of_openrlhf(case):
    x, params, expected = inputs(case), case["params"], case["expected"]
    mask = x["mask"]
    kl = token_rewards.kl_per_token(
        x["logprobs"], x["ref_logprobs"], mask, estimator=params["kl_estimator"], limit=params["kl_clamp"]
    )
    same(kl, keep(tensor(expected["kl"]), mask).tolist(), 1e-6)
    rewards = token_rewards.shaped_rewards(kl, x["scores"], mask, coefficient=params["kl_coef"])
    same(rewards, keep(tensor(expected["per_token_rewards"]), mask).tolist(), 1e-6)
    found = token_rewards.gae(rewards, x["values"], mask, gamma=params["gamma"], lam=params["lam"])
    same(found.advantages, keep(tensor(expected["advantages_raw"]), mask).tolist(), 1e-6)
    same(found.returns, keep(tensor(expected["returns"]), mask).tolist(), 1e-6)


@every("adaptive_kl")
def test_the_adaptive_coefficient(case):
    params = case["params"]
    controller = AdaptiveKL(params["init"], params["target"], params["horizon"])
    found = []
    for kl in case["inputs"]["observed_kl"]:
        controller = controller.updated(kl, params["n_steps_per_update"])
        found.append(controller.coefficient)
    same(found, case["expected"]["coefficient_after_each_update"])


@every("whitening", "lmhp", "trl0.7.1/unmasked", "trl/masked")
def test_whitening(case):
    x, params, expected = inputs(case), case["params"], case["expected"]
    mask = x.get("mask")
    found = whiten(x["x"], mask, keep_mean=not params["shift_mean"], unbiased=params["variance"] == "unbiased")
    if mask is None:
        same(found, expected["out"])
    else:
        same(found, keep(tensor(expected["out_all_positions"]), mask).tolist(), 1e-6)


@every("whitening", "trl0.7.1/running")
def test_running_moments(case):
    moments = RunningMoments()
    for batch, after in zip(case["inputs"]["batches"], case["expected"]["after_each_batch"], strict=True):
        moments = moments.updated(tensor(batch))
        same([moments.mean, moments.std, moments.variance], [after["mean"], after["std"], after["var"]], 1e-5)
        same(moments.normalised(torch.tensor(batch)), after["normalised"], 1e-5)


@every("rloo_grpo", "rloo")
def test_rloo(case):
    x, params, expected = inputs(case, "new_logps"), case["params"], case["expected"]
    mask = x["mask"]
    rewards = groups.sequence_kl_penalty(x["rewards"], x["old_logps"], x["ref_logps"], mask, beta=params["beta"])
    advantages = groups.rloo_advantages(
        rewards, group_size=params["num_generations"], standardised=params["normalize_advantages"]
    )
    loss = groups.rloo_loss(x["new_logps"], x["old_logps"], advantages, mask, clip=params["epsilon"]).mean()
    loss.backward()
    same(advantages, expected["advantages"], 1e-6)
    same(loss, expected["loss"], 1e-6)
    same(x["new_logps"].grad, expected["grad_new_logps"], 1e-6)


@every("rloo_grpo", "grpo", "bnpo", "dr_grpo", "dapo", "cispo")
def test_grpo_and_its_relatives(case):
    x, params, expected = inputs(case, "new_logps"), case["params"], case["expected"]
    mask = x["mask"]
    advantages = groups.grpo_advantages(
        x["rewards"], group_size=params["num_generations"], scale=params["scale_rewards"]
    )
    loss = groups.grpo_loss(
        x["new_logps"],
        x["old_logps"],
        advantages,
        mask,
        kind=params["algo"],
        level=params["importance_level"],
        clip=params["epsilon"],
        clip_high=params["epsilon_high_cispo"] if params["algo"] == "cispo" else None,
        reference=x["ref_logps"],
        beta=params["beta"],
        corrected_kl=params["use_bias_correction_kl"],
        max_tokens=params["max_completion_length"],
    )
    loss.backward()
    same(advantages, expected["advantages"], 1e-6)
    same(loss, expected["loss"], 1e-6)
    same(x["new_logps"].grad, expected["grad_new_logps"], 1e-6)


# ------------------------------------------------------------------------------------------------ reward models


@every("bradley_terry", "trl", "openrlhf")
def test_the_pair_loss_of_scores(case):
    x, params = inputs(case, "chosen", "rejected"), case["params"]
    # OpenRLHF's LogExpLoss takes a margin and ignores it, so its cases are those without one
    margin = None if "LogExpLoss" in case["name"] else x.get("margin")
    centring = params.get("center_rewards_coefficient") or 0.0
    loss = pair_score_loss(x["chosen"], x["rejected"], margin=margin, centring=centring).mean()
    loss.backward()
    same(loss, case["expected"]["loss"])
    for side in ("chosen", "rejected"):
        same(x[side].grad, case["expected"][f"grad_{side}"])


@every("bradley_terry", "lmhp/best_of_4")
def test_the_best_of_four(case):
    x = inputs(case, "rewards")
    loss = best_of_k_loss(x["rewards"], x["best"].long()).mean()
    loss.backward()
    same(loss, case["expected"]["loss"])
    same(x["rewards"].grad, case["expected"]["grad"])


@every("bradley_terry", "lmhp/normalise")
def test_scaling_scores_to_unit_spread(case):
    scores = inputs(case)["rewards"]
    gain, bias = to_unit(scores)
    same([gain, bias], [case["expected"]["gain"], case["expected"]["bias"]])
    same(gain * scores + bias, case["expected"]["normalised"])


@every("bradley_terry_tokens")
def test_the_pair_loss_at_every_diverging_position(case):
    x = inputs(case, "token_values")
    chosen_ids, rejected_ids = x["input_ids"].chunk(2)
    ends = x["attention_mask"].sum(dim=-1).long()
    longer = torch.maximum(*ends.chunk(2))  # the reference implementation runs both texts to the longer end
    loss = diverging_token_loss(*x["token_values"].chunk(2), chosen_ids, rejected_ids, longer, longer).mean()
    loss.backward()
    same(loss, case["expected"]["loss"])
    same(x["token_values"].grad, case["expected"]["grad_token_values"])


def test_every_file_of_figures_is_read_by_a_test_here():
    source = Path(__file__).read_text()
    files = {path.stem for path in FOLDER.glob("*.json")}
    assert len(files) == 16
    assert sum(len(cases(file)) for file in files) == 308
    assert not [file for file in files if f'@every("{file}"' not in source]
