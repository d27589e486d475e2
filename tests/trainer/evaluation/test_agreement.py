import numpy as np
import pytest
from statsmodels.stats.inter_rater import fleiss_kappa

from trainer.evaluation.agreement import agreement, ceiling, judge_agreement, kappa, majority, rank_agreement, verdict
from trainer.evaluation.alpha import krippendorff_alpha
from trainer.evaluation.labellers import Labelled, labeller_figures


def item(number: int) -> tuple[str, str, str]:
    return (str(number), "new", "old")


def test_a_score_is_a_win_a_loss_or_a_tie() -> None:
    assert [verdict(score) for score in (0.0, 0.49, 0.5, 0.1 + 0.2 + 0.2, 0.51, 1.0)] == [-1, -1, 0, 0, 1, 1]


def test_agreement_with_and_without_ties_by_hand() -> None:
    found = agreement([(1, 1, "p"), (1, -1, "q"), (0, 0, "r"), (0, 1, "s"), (-1, -1, "t")])
    assert (found.with_ties.agree, found.with_ties.total) == (3, 5)
    assert (found.without_ties.agree, found.without_ties.total) == (2, 3)


def test_rows_of_one_prompt_count_as_one_in_the_interval() -> None:
    spread = agreement([(1, 1 if i % 2 else -1, str(i)) for i in range(40)]).with_ties
    bunched = agreement([(1, 1 if (i // 10) % 2 else -1, str(i // 10)) for i in range(40)]).with_ties
    assert spread.rate == bunched.rate == 0.5
    assert spread.interval and bunched.interval
    assert bunched.interval.high - bunched.interval.low > 2 * (spread.interval.high - spread.interval.low)


def test_the_clustered_error_by_hand() -> None:
    # prompt p: 1 1, q: 0 1, r: 0 0; mean 1/2; sums of deviations 1, 0, -1; SE^2 = 3/2 * 2 / 36 = 1/12
    rows = [(1, 1, "p"), (1, 1, "p"), (1, -1, "q"), (1, 1, "q"), (1, -1, "r"), (1, -1, "r")]
    interval = agreement(rows).with_ties.interval
    assert interval is not None
    n_effective, z2 = 0.25 * 12, 1.959964**2
    half = np.sqrt(z2 * (0.25 + z2 / (4 * n_effective)) / n_effective) / (1 + z2 / n_effective)
    assert interval.high - interval.low == pytest.approx(2 * half, abs=1e-5)


def test_nothing_compared_has_no_rate() -> None:
    found = agreement([(0, 1, "p")])
    assert (found.without_ties.rate, found.without_ties.interval) == (None, None)


def test_a_split_among_people_is_a_tie() -> None:
    assert [majority(said) for said in ([1, 1, -1], [1, -1], [0, 0, 1], [-1], [1, 0, -1])] == [1, 0, 0, -1, 0]


def test_the_ceiling_is_every_two_people_on_one_item() -> None:
    found = ceiling({item(1): [1, 1, -1], item(2): [1], item(3): [0, 0]})
    assert (found.with_ties.agree, found.with_ties.total) == (2, 4)
    assert (found.without_ties.agree, found.without_ties.total) == (1, 3)


def test_kappa_by_hand() -> None:
    # agree 3 of 4; by chance 1/2 * 3/4 + 1/2 * 1/4 = 1/2
    assert kappa([1, 1, -1, -1], [1, 1, -1, 1]) == pytest.approx(0.5)


def test_kappa_of_one_verdict_throughout_is_unknown() -> None:
    assert kappa([1, 1], [1, 1]) is None


def test_a_judge_is_shown_beside_the_trivial_ones() -> None:
    people = {item(i): [1 if i < 15 else -1] for i in range(20)}
    judge = {item(i): 1 if i < 10 else -1 for i in range(20)}
    longer = {item(i): 1 if i % 2 == 0 else -1 for i in range(20)}
    found = judge_agreement(judge, people, longer=longer, first={item(i): 1 for i in range(20)})
    assert found.people.with_ties.rate == 0.75
    assert found.longest is not None and found.longest.with_ties.agree == 8 + 3  # even below 15, odd above
    assert found.always_first is not None and found.always_first.with_ties.rate == 0.75
    assert found.most_common.with_ties.rate == 0.75
    assert found.items == 20 and found.majority.rate == 0.75


def test_lengths_that_are_not_known_give_no_longest_judge() -> None:
    assert judge_agreement({item(1): 1}, {item(1): [1]}).longest is None


def test_a_judge_without_an_item_in_common_is_refused() -> None:
    with pytest.raises(ValueError, match="no comparison in common"):
        judge_agreement({item(1): 1}, {item(2): [1]})


def test_a_rank_correlation_by_hand_and_how_little_nine_models_tell() -> None:
    # one neighbouring pair of nine exchanged: 1 - 6 * 2 / (9 * 80)
    found = rank_agreement([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5, 4, 6, 7, 8, 9])
    assert found.correlation == pytest.approx(1 - 12 / 720)
    generator = np.random.default_rng(0)
    vague = rank_agreement(range(9), np.arange(9) + generator.normal(0, 3, 9))
    assert vague.interval.high - vague.interval.low > 0.3


@pytest.mark.parametrize("ratings", [[1, 2, 3], [1, 1, 1, 1]])
def test_too_few_models_have_no_rank_correlation(ratings: list[float]) -> None:
    with pytest.raises(ValueError, match="four or more"):
        rank_agreement(ratings, ratings)


def test_alpha_by_hand() -> None:
    # four of ten pairs differ; 14 zeros and 6 ones: 1 - (20 - 1) * 4 / (14 * 6)
    first, second = "0100000000", "1110010100"
    labels = {item(i): [int(x), int(y)] for i, (x, y) in enumerate(zip(first, second, strict=True))}
    assert krippendorff_alpha(labels).value == pytest.approx(1 - 19 * 4 / 84)


def test_alpha_of_complete_data_is_near_fleiss_kappa() -> None:
    generator = np.random.default_rng(0)
    said = [(generator.random(3) < (0.8 if i % 2 else 0.2)).astype(int).tolist() for i in range(300)]
    alpha = krippendorff_alpha({item(i): row for i, row in enumerate(said)})
    counts = [[row.count(0), row.count(1)] for row in said]
    assert alpha.value == pytest.approx(fleiss_kappa(counts), abs=1e-3)


def test_items_with_one_label_do_not_count() -> None:
    labels = {item(1): [1, 1], item(2): [0, 0], item(3): [-1]}
    found = krippendorff_alpha(labels)
    assert (found.value, found.items, found.labels) == (1.0, 2, 4)


def test_one_verdict_throughout_has_no_alpha() -> None:
    assert krippendorff_alpha({item(1): [1, 1]}).value is None
    assert krippendorff_alpha({}).value is None


def test_labels_at_random_have_an_interval_about_zero() -> None:
    generator = np.random.default_rng(1)
    found = krippendorff_alpha({item(i): generator.integers(-1, 2, 3).tolist() for i in range(200)})
    assert found.interval is not None and found.interval.low < 0 < found.interval.high < 0.2


def test_the_ordinal_alpha_forgives_a_tie_more_than_a_reversal() -> None:
    near = {item(i): [1, 0] if i % 4 == 0 else [1, 1] if i % 2 else [-1, -1] for i in range(40)}
    far = {key: [1, -1] if said == [1, 0] else said for key, said in near.items()}
    value = {name: krippendorff_alpha(labels, level="ordinal").value for name, labels in (("near", near), ("far", far))}
    assert value["near"] is not None and value["far"] is not None and value["near"] > value["far"]


def crowd(seed: int = 0) -> list[Labelled]:
    """Four labellers of 200 items, the last of whom always says the first text wins."""
    generator = np.random.default_rng(seed)
    labels = []
    for i in range(200):
        truth, first = int(generator.choice([-1, 1])), int(generator.choice([-1, 1]))
        for rater in ("ann", "ben", "eve"):
            said = truth if generator.random() < 0.85 else -truth
            labels.append(Labelled(item(i), rater, said, first=first, longer=truth))
        labels.append(Labelled(item(i), "left", first, first=first, longer=truth))
    return labels


def test_a_labeller_who_takes_the_first_text_stands_out() -> None:
    found = labeller_figures(crowd())
    assert [rater for rater, figures in found.items() if figures.outlier] == ["left"]
    left = found["left"].took_first
    assert left is not None and left.rate == 1.0
    assert found["ann"].others.with_ties.rate > 0.6  # type: ignore[operator]


def test_leave_one_out_leaves_the_labeller_out() -> None:
    labels = [Labelled(item(1), "ann", 1), Labelled(item(1), "ben", -1), Labelled(item(2), "ann", 1)]
    found = labeller_figures(labels)
    assert (found["ann"].others.with_ties.agree, found["ann"].others.with_ties.total) == (0, 1)
    assert found["ann"].took_first is None and found["ann"].labels == 2


def test_ties_are_a_share_of_all_labels_and_no_choice_of_a_side() -> None:
    labels = [Labelled(item(1), "ann", 0, first=1), Labelled(item(2), "ann", 1, first=1, longer=-1)]
    ann = labeller_figures(labels)["ann"]
    assert ann.ties == 0.5
    assert ann.took_first is not None and (ann.took_first.right, ann.took_first.n) == (1, 1)
    assert ann.took_longer is not None and ann.took_longer.right == 0
