"""A gate's scores while it is at work: the newest look is what is read."""

from pathlib import Path

from trainer.score_file import PREFERENCE, QUALITY, keep_scores, read_scores


def test_the_newest_look_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    assert read_scores(tmp_path / "run") == {}
    keep_scores({PREFERENCE: [1.0]}, tmp_path / "run")
    keep_scores({PREFERENCE: [1.0, 0.25], QUALITY: [0.5]}, tmp_path / "run")
    assert read_scores(tmp_path / "run") == {PREFERENCE: [1.0, 0.25], QUALITY: [0.5]}
