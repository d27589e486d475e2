"""Which two of several texts are shown."""

import random

import numpy as np

from app.selection import SELECTIONS, Decisive, Judged, SameContent, Selection, least_alike, plain
from app.selection.decisive import PRIOR_BIAS, PRIOR_MEAN, fit

PARIS = [
    "It is Paris.",
    "Of course! It is Paris, I hope that helps.",
    "It is Lyon, by the Rhone.",
    "It is Rome.",
]


def _taught() -> SameContent:
    """One that has seen which words belong to no prompt in particular."""
    selection = SameContent()
    for town in ("Oslo", "Cairo", "Lima", "Delhi", "Quito", "Accra", "Tunis", "Riga"):
        selection(
            [], [f"It is {town}.", f"Of course! It is {town}, I hope that helps.", f"It is near the river, {town}."], []
        )
    return selection


def test_plain_shows_the_first_two() -> None:
    assert plain([], PARIS, []) == (0, 1)


def test_least_alike_shows_the_two_with_the_fewest_characters_in_common() -> None:
    assert least_alike([], ["abcdef", "abcdeg", "xyz"], []) == (0, 2)


def test_same_content_shows_one_answer_in_two_wordings() -> None:
    assert _taught()([], PARIS, []) == (0, 1)


def test_same_content_prefers_the_more_different_wording() -> None:
    texts = ["It is Paris.", "It is Paris!", "Of course! It is Paris, I hope that helps."]
    assert 2 in _taught()([], texts, [])


def test_same_content_counts_an_added_sentence_as_the_same_answer() -> None:
    texts = ["It is Rome.", "Paris.", "It is Paris, the town on the Seine with many bridges."]
    assert _taught()([], texts, []) == (1, 2)


def test_same_content_goes_by_wording_where_nothing_has_content() -> None:
    selection = SameContent()
    assert selection([], ["Hi.", "Hi!", "Hello there, friend."], []) in ((0, 2), (1, 2))


def test_two_texts_are_always_the_pair() -> None:
    for make in SELECTIONS.values():
        assert make()([], ["One.", "Two."], []) == (0, 1)


TOWNS = ("Oslo", "Cairo", "Lima", "Delhi", "Quito", "Accra", "Tunis", "Riga", "Bern", "Rome", "Doha", "Kyiv")


def _manners(town: str) -> list[str]:
    """Plain, polite, with an emoji, long: one content."""
    return [
        f"It is {town}.",
        f"It is {town}, certainly.",
        f"It is {town}. 🌍",
        f"It is {town}. You can look it up in any book.",
    ]


def _shown(selection: Selection, cares_for: int) -> list[tuple[int, int]]:
    """What is shown to a person who decides wherever exactly one side has that manner, prompt by prompt."""
    judged: list[Judged] = []
    shown = []
    for town in TOWNS * 2:
        texts = _manners(town)
        pair = selection([], texts, judged)
        decided = cares_for in pair
        judged.insert(0, Judged([], texts[pair[0]], texts[pair[1]], "left" if decided else None))
        shown.append(pair)
    return shown


def test_decisive_learns_what_a_person_decides_about() -> None:
    for cares_for in (1, 2, 3):
        late = _shown(Decisive(), cares_for)[12:]
        assert sum(cares_for in pair for pair in late) >= 11


def test_without_choices_decisive_shows_like_content_in_different_manner() -> None:
    selection = Decisive()
    for town in TOWNS:
        selection([], _manners(town), [])
    first, second = selection([], [*_manners("Paris"), "No idea."], [])
    assert {first, second} <= {0, 1, 2, 3}


def test_the_fit_is_the_priors_mean_without_choices() -> None:
    assert list(fit(np.zeros((0, 3)), np.zeros(0), width=3)) == [PRIOR_BIAS, PRIOR_MEAN, PRIOR_MEAN]


def test_the_fit_is_where_the_posterior_is_flat() -> None:
    rng = np.random.default_rng(0)
    differences = np.hstack([np.ones((60, 1)), rng.random((60, 4))])
    decided = (differences[:, 2] > 0.5).astype(float)
    best = fit(differences, decided, width=5)
    for other in best + 0.01 * rng.normal(size=(50, 5)):
        assert _loss(other, differences, decided) > _loss(best, differences, decided)


def _loss(weights: np.ndarray, differences: np.ndarray, decided: np.ndarray) -> float:
    chance = 1 / (1 + np.exp(-differences @ weights))
    likelihood = np.log(np.where(decided == 1, chance, 1 - chance)).sum()
    mean = np.array([-1.5, 0.5, 0.5, 0.5, 0.5])
    return float(((weights - mean) ** 2).sum() / 6 - likelihood)


def test_choices_that_contradict_each_other_are_no_trouble() -> None:
    texts = _manners("Paris")
    chance = random.Random(0)
    judged = [Judged([], *chance.sample(texts, 2), chance.choice(["left", None])) for _ in range(200)]
    assert len(set(Decisive()([], texts, judged))) == 2
