from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from trainer.evaluation.features import features, surface
from trainer.evaluation.preference_model import NOTHING_LEARNT, _newton, assign_folds, cross_fit, fit, wishes_changed
from trainer.evaluation.statistics import wilson
from trainer.reporter import Stopped

WIDTH = 60


class Pairs(NamedTuple):
    chosen: np.ndarray
    rejected: np.ndarray
    groups: list[str]


def labelled(count: int, *, seed: int, wish: float = 1.0, noise: float = 0.0, width: int = WIDTH) -> Pairs:
    """Pairs labelled by feature 0; `wish` -1 turns the labeller round, `noise` is the share of random labels."""
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(2, count, width))
    left[:, 0] *= 4
    right[:, 0] *= 4
    prefers_left = wish * (left[:, 0] - right[:, 0]) > 0
    random = rng.random(count) < noise
    prefers_left = np.where(random, rng.random(count) < 0.5, prefers_left)[:, None]
    chosen, rejected = np.where(prefers_left, left, right), np.where(prefers_left, right, left)
    return Pairs(chosen, rejected, [f"group {index // 2}" for index in range(count)])


def test_a_one_feature_fit_meets_the_hand_worked_optimum() -> None:
    # 3 of 4 unit differences positive without penalty: sigmoid(w) = 3/4, so w = ln 3
    weights = _newton(np.array([[1.0], [1.0], [1.0], [-1.0]]), ridge=0.0)
    assert weights[0] == pytest.approx(np.log(3), abs=1e-9)


def test_the_fit_is_where_the_gradient_vanishes() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 12))
    weights = _newton(rows, ridge=0.7)
    gradient = 0.7 * weights - rows.T @ (1 / (1 + np.exp(rows @ weights)))
    assert np.abs(gradient).max() < 1e-6


def test_the_wished_for_feature_is_found_from_forty_pairs() -> None:
    pairs, fresh = labelled(40, seed=0), labelled(400, seed=1)
    model = fit(*pairs)
    assert np.mean(model.score(fresh.chosen) > model.score(fresh.rejected)) > 0.65


def test_more_pairs_predict_better() -> None:
    few, many = (cross_fit(*labelled(count, seed=3)).accuracy for count in (20, 200))
    assert many > few


def test_the_same_pairs_give_the_same_model() -> None:
    pairs = labelled(40, seed=0)
    assert np.array_equal(fit(*pairs).weights, fit(*pairs).weights)


def test_training_differences_have_unit_spread() -> None:
    pairs = labelled(60, seed=2)
    model = fit(*pairs)
    differences = model.score(pairs.chosen) - model.score(pairs.rejected)
    assert np.sqrt(np.mean(differences**2)) == pytest.approx(1)


def test_the_unit_of_a_feature_does_not_matter() -> None:
    pairs, unit = labelled(40, seed=0), np.logspace(-3, 3, WIDTH)
    plain = fit(*pairs)
    scaled = fit(pairs.chosen * unit, pairs.rejected * unit, pairs.groups)
    assert scaled.score(pairs.chosen * unit) == pytest.approx(plain.score(pairs.chosen), abs=1e-8)


def test_a_feature_that_never_varies_is_harmless() -> None:
    pairs = labelled(40, seed=0)
    pairs.chosen[:, 5] = pairs.rejected[:, 5] = 7.0
    assert np.isfinite(fit(*pairs).weights).all()


def test_swapping_chosen_and_rejected_turns_the_scores_round() -> None:
    pairs = labelled(40, seed=0)
    there, back = fit(*pairs), fit(pairs.rejected, pairs.chosen, pairs.groups)
    assert there.weights == pytest.approx(-back.weights)


def test_where_nothing_beats_a_coin_nothing_is_learnt() -> None:
    models = [fit(*labelled(60, seed=seed, noise=1.0)) for seed in range(8)]
    nothing = [model for model in models if model.strength == NOTHING_LEARNT]
    assert len(nothing) >= 3
    assert all(not model.weights.any() for model in nothing)


def test_all_pairs_of_a_group_lie_in_one_fold() -> None:
    groups = [f"g{number}" for number in np.random.default_rng(0).integers(0, 30, 200)]
    fold_of = assign_folds(groups, 5, seed=0)
    folds_of_group = {(group, int(fold)) for group, fold in zip(groups, fold_of, strict=True)}
    assert len(folds_of_group) == len(set(groups))


def test_folds_are_balanced_and_none_is_empty_with_twenty_groups() -> None:
    assert np.bincount(assign_folds([f"prompt {n}" for n in range(20)], 5, seed=0)).tolist() == [4] * 5


def test_folds_do_not_depend_on_the_order_of_the_pairs() -> None:
    groups = [f"g{n % 13}" for n in range(50)]
    assert assign_folds(groups[::-1], 5, seed=0).tolist() == assign_folds(groups, 5, seed=0)[::-1].tolist()


def test_cross_fit_reports_five_models_and_wilsons_interval() -> None:
    result = cross_fit(*labelled(40, seed=0))
    assert (len(result.models), result.n) == (5, 40)
    assert result.accuracy == result.out_of_fold_correct.mean()
    assert result.interval == wilson(int(result.out_of_fold_correct.sum()), 40)


def test_a_pair_is_ordered_by_a_model_that_has_not_seen_its_group() -> None:
    pairs = labelled(40, seed=0)
    fold = assign_folds(pairs.groups, 5, seed=0)
    result = cross_fit(*pairs)
    for held_out in range(5):
        inside = fold != held_out
        model = fit(pairs.chosen[inside], pairs.rejected[inside], [pairs.groups[i] for i in np.flatnonzero(inside)])
        assert np.array_equal(model.weights, result.models[held_out].weights)


def test_pairs_that_only_their_own_group_explains_are_not_predicted() -> None:
    rng = np.random.default_rng(
        0
    )  # 20 groups of 10 near-identical pairs with random labels: leaking would show as ~1.0
    centre = np.repeat(rng.normal(size=(20, WIDTH)), 10, axis=0) * np.repeat(rng.choice([-1, 1], 20), 10)[:, None]
    chosen, rejected = centre + rng.normal(scale=0.01, size=centre.shape), np.zeros_like(centre)
    result = cross_fit(chosen, rejected, [f"g{index // 10}" for index in range(200)])
    assert result.accuracy < 0.8


def test_equal_scores_count_as_not_correct() -> None:
    same = np.ones((10, 4))
    assert cross_fit(same, same, [f"g{n}" for n in range(10)]).accuracy == 0


def test_the_mean_score_is_that_of_the_fold_models() -> None:
    pairs = labelled(40, seed=0)
    result = cross_fit(*pairs)
    expected = np.mean([model.score(pairs.chosen) for model in result.models], axis=0)
    assert result.score(pairs.chosen) == pytest.approx(expected)


def test_random_labels_look_predictable_in_at_most_one_run_of_twenty() -> None:
    hits = sum(cross_fit(*labelled(30, seed=seed, noise=1.0, width=20)).interval.low > 0.5 for seed in range(100))
    assert hits <= 5


def test_pairs_of_one_prompt_cannot_be_cross_fitted() -> None:
    pairs = labelled(10, seed=0)
    with pytest.raises(ValueError, match="at least 2 different prompts"):
        cross_fit(pairs.chosen, pairs.rejected, ["only"] * 10)


def test_features_that_are_not_finite_are_refused() -> None:
    pairs = labelled(10, seed=0)
    pairs.chosen[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fit(*pairs)


def test_shapes_that_do_not_match_are_refused() -> None:
    pairs = labelled(10, seed=0)
    with pytest.raises(ValueError, match="9 keys"):
        fit(pairs.chosen, pairs.rejected, pairs.groups[:9])


def test_opposite_newer_choices_are_a_change_of_wishes() -> None:
    earlier, newer = cross_fit(*labelled(100, seed=0)), labelled(20, seed=1, wish=-1)
    check = wishes_changed(earlier, newer.chosen, newer.rejected)
    assert check.changed and check.figures is not None and check.figures.interval.high < 0.5
    assert f"{check.figures.right} of the 20 newer ones" in check.reason


def test_choices_that_go_on_as_before_are_no_change() -> None:
    earlier, newer = cross_fit(*labelled(100, seed=0)), labelled(20, seed=1)
    assert not wishes_changed(earlier, newer.chosen, newer.rejected).changed


def test_nine_newer_pairs_are_too_few_for_a_change() -> None:
    earlier, newer = cross_fit(*labelled(100, seed=0)), labelled(9, seed=1, wish=-1)
    check = wishes_changed(earlier, newer.chosen, newer.rejected)
    assert not check.changed and "at least 10" in check.reason


def test_unpredictable_earlier_choices_cannot_be_contradicted() -> None:
    earlier, newer = cross_fit(*labelled(30, seed=0, noise=1.0)), labelled(40, seed=1, wish=-1)
    assert earlier.interval.low <= 0.5
    assert not wishes_changed(earlier, newer.chosen, newer.rejected).changed


def test_a_steady_labeller_is_almost_never_taken_to_have_changed() -> None:
    misread = 0
    for seed in range(60):
        pairs, newer = labelled(60, seed=seed, noise=0.3), labelled(10, seed=1000 + seed, noise=0.3)
        misread += wishes_changed(cross_fit(*pairs), newer.chosen, newer.rejected).changed
    assert misread == 0


def items(*texts: str) -> list[tuple[list[dict[str, str]], str]]:
    return [([{"role": "user", "content": "Hello"}], text) for text in texts]


def test_features_hold_mean_and_last_hidden_state_of_the_completion(tiny_model_dir: Path) -> None:
    import torch

    from trainer.policy import load_policy

    policy = load_policy(tiny_model_dir, device="cpu")
    messages, text = items("Yes, I do.")[0]
    prompt = policy.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    ids = policy.tokenizer.encode(prompt + text + policy.tokenizer.eos_token, add_special_tokens=False)
    start = len(policy.tokenizer.encode(prompt, add_special_tokens=False))
    with torch.inference_mode():
        hidden = policy.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, start:]
    expected = torch.cat([hidden.mean(0), hidden[-1]]).numpy()
    assert features(policy, [(messages, text)])[0, :64] == pytest.approx(expected, abs=1e-5)


def test_the_surface_is_tiled_to_the_hidden_width(tiny_model_dir: Path) -> None:
    from trainer.policy import load_policy

    row = features(load_policy(tiny_model_dir, device="cpu"), items("Yes, 3!"))[0]
    assert np.array_equal(row[64:], np.tile(surface("Yes, 3!"), 3))


def test_the_surface_counts_what_a_reader_sees() -> None:
    assert np.expm1(surface("Hi Ann, 42?!\nOk. 🎉🎉")) == pytest.approx([19, 5, 1, 1, 1, 1, 2, 3, 2, 1])


def test_features_do_not_depend_on_batch_or_order(tiny_model_dir: Path) -> None:
    from trainer.policy import load_policy

    policy = load_policy(tiny_model_dir, device="cpu")
    rows = items("Yes.", "", "A much longer completion, with many words in it.", "No.")
    together = features(policy, rows, batch_size=4)
    alone = np.concatenate([features(policy, [row], batch_size=1) for row in rows])
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_prompt_beyond_the_models_positions_loses_its_oldest_tokens(tiny_model_dir: Path) -> None:
    from trainer.policy import load_policy

    policy = load_policy(tiny_model_dir, device="cpu")
    long = [{"role": "user", "content": "x" * 1000}]
    assert np.isfinite(features(policy, [(long, "Yes."), (long, "y" * 1000)])).all()


def test_features_report_progress_and_stop_when_asked(tiny_model_dir: Path) -> None:
    from trainer.policy import load_policy

    policy = load_policy(tiny_model_dir, device="cpu")
    seen: list[tuple[int, int]] = []
    rows = items("a", "b", "c")
    features(policy, rows, batch_size=2, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]
    with pytest.raises(Stopped, match="0 of 3"):
        features(policy, rows, should_stop=lambda: True)
