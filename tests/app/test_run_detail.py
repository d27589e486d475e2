"""A run's page: how many parameters it trained."""

from app.ui.run_detail import trained_share


def test_the_page_says_how_many_parameters_were_trained() -> None:
    counted = {"parameters/trainable": 46_080.0, "parameters/all": 4_046_912.0}
    assert trained_share(counted) == [("Trained", "46,080 of 4,046,912 parameters (1.14%)")]


def test_of_a_run_that_did_not_count_nothing_is_said() -> None:
    assert trained_share({"loss": 0.5}) == []
