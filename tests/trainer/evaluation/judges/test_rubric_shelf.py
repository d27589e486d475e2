"""Where rubrics lie: the project's own before the packaged, which are never written to, and every version for ever."""

from pathlib import Path

import pytest

from trainer.evaluation.judges.rubric import RubricError
from trainer.evaluation.judges.rubric_shelf import PACKAGED, RubricShelf, read_rubric
from trainer.evaluation.judges.rubric_text import FaultyRubric

GOOD = (PACKAGED / "helpful.toml").read_text()
MINE = GOOD.replace("This counts most.", "This counts, and nothing else.")


@pytest.fixture
def shelf(tmp_path: Path) -> RubricShelf:
    return RubricShelf(tmp_path)


def test_a_packaged_rubric_is_copied_when_it_is_saved_and_never_changed(shelf: RubricShelf, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in PACKAGED.iterdir()}
    saved = shelf.save(MINE)
    assert {file: file.read_bytes() for file in PACKAGED.iterdir()} == before
    assert (tmp_path / "rubrics" / "helpful.toml").read_text() == MINE
    assert shelf.find("helpful") == saved and saved.origin == "project"
    assert read_rubric("helpful").digest != read_rubric("helpful", tmp_path).digest == saved.rubric.digest


def test_every_version_is_found_again_by_its_hash_the_packaged_one_too(shelf: RubricShelf) -> None:
    packaged = shelf.find("helpful")
    texts = [MINE, MINE.replace("nothing else", "little else"), GOOD.replace("helpful", "mine")]
    pins = [packaged.pin, *(shelf.save(text).pin for text in texts)]
    assert [shelf.find(pin).text for pin in pins] == [GOOD, *texts]
    assert [shelf.find(pin[: pin.index("@") + 9]).text for pin in pins] == [GOOD, *texts]
    assert {f"helpful@{one.digest}" for one in shelf.versions("helpful")} == set(pins[:3])


def test_a_kept_version_is_never_changed_by_a_file_that_differs_in_remarks_only(shelf: RubricShelf) -> None:
    first = shelf.save(MINE)
    shelf.save("# another remark\n" + MINE)
    assert shelf.find(first.pin).text == MINE and shelf.find("helpful").text.startswith("# another remark")


def test_a_text_with_a_fault_is_not_saved(shelf: RubricShelf, tmp_path: Path) -> None:
    with pytest.raises(FaultyRubric):
        shelf.save(MINE.replace("{{second}}", ""))
    assert shelf.find("helpful").origin == "packaged" and not (tmp_path / "rubrics").exists()


def test_a_file_that_somebody_broke_is_told_with_its_place_and_can_be_saved_over(
    shelf: RubricShelf, tmp_path: Path
) -> None:
    shelf.save(MINE)
    broken = tmp_path / "rubrics" / "helpful.toml"
    broken.write_text(MINE.replace("ties = true", "ties = 1"))
    with pytest.raises(RubricError, match=r"helpful\.toml is not a rubric: line 5: ties is 1"):
        shelf.find("helpful")
    assert "helpful" in shelf.names()
    assert shelf.save(MINE).text == shelf.find("helpful").text == MINE


def test_a_file_whose_name_is_not_the_one_it_sets_is_refused(shelf: RubricShelf, tmp_path: Path) -> None:
    (tmp_path / "rubrics").mkdir()
    (tmp_path / "rubrics" / "other.toml").write_text(MINE)
    with pytest.raises(RubricError, match="sets the name 'helpful'"):
        shelf.find("other")


@pytest.mark.parametrize(
    "source", ["../secret", "/etc/passwd", "secret.toml", "helpful@../..", "a/b", "", "helpful@abc", "."]
)
def test_a_name_never_leads_out_of_the_shelf(shelf: RubricShelf, tmp_path: Path, source: str) -> None:
    (tmp_path / "secret.toml").write_text(MINE)
    assert shelf.named(source) is None


def test_a_version_that_is_not_kept_is_refused_with_those_that_are(shelf: RubricShelf) -> None:
    kept = shelf.save(MINE).rubric.digest
    with pytest.raises(RubricError, match=f"no version 'aaaaaaaaaa' of the rubric 'helpful'; kept are .*{kept[:8]}"):
        shelf.find("helpful@aaaaaaaaaa")


def test_a_file_may_be_given_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "me@home.toml").write_text(MINE)
    assert read_rubric(tmp_path / "me@home.toml").name == "helpful"
