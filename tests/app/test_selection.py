"""Which two of several texts are shown."""

from app.selection import SameContent, least_alike, plain

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
            [], [f"It is {town}.", f"Of course! It is {town}, I hope that helps.", f"It is near the river, {town}."]
        )
    return selection


def test_plain_shows_the_first_two() -> None:
    assert plain([], PARIS) == (0, 1)


def test_least_alike_shows_the_two_with_the_fewest_characters_in_common() -> None:
    assert least_alike([], ["abcdef", "abcdeg", "xyz"]) == (0, 2)


def test_same_content_shows_one_answer_in_two_wordings() -> None:
    assert _taught()([], PARIS) == (0, 1)


def test_same_content_prefers_the_more_different_wording() -> None:
    texts = ["It is Paris.", "It is Paris!", "Of course! It is Paris, I hope that helps."]
    assert 2 in _taught()([], texts)


def test_same_content_counts_an_added_sentence_as_the_same_answer() -> None:
    texts = ["It is Rome.", "Paris.", "It is Paris, the town on the Seine with many bridges."]
    assert _taught()([], texts) == (1, 2)


def test_same_content_goes_by_wording_where_nothing_has_content() -> None:
    selection = SameContent()
    assert selection([], ["Hi.", "Hi!", "Hello there, friend."]) in ((0, 2), (1, 2))


def test_two_texts_are_always_the_pair() -> None:
    for selection in (plain, least_alike, SameContent()):
        assert selection([], ["One.", "Two."]) == (0, 1)
