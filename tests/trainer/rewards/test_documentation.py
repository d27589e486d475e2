"""docs/rewards.md names every kind with its options, every filter, and every metric."""

import re
from pathlib import Path
from typing import get_args

import pytest
from rewarding import Told, composed, scored

from trainer.rewards.configs import HardFilters, RewardSettings
from trainer.rewards.terms import AnyTerm, Term

TEXT = (Path(__file__).parents[3] / "docs" / "rewards.md").read_text(encoding="utf-8")
ROWS = {row.split("|")[1].strip(): row for row in TEXT.splitlines() if row.startswith("|")}


@pytest.mark.parametrize("kind", get_args(get_args(AnyTerm)[0]))
def test_a_kind_stands_in_the_table_with_each_of_its_options(kind: type[Term]):
    row = ROWS[kind.model_fields["kind"].default]
    named = set(re.findall(r"`(\w+)`", row.split("|")[3]))
    assert set(kind.model_fields) - set(Term.model_fields) <= named, row


@pytest.mark.parametrize("option", [*HardFilters.model_fields, *RewardSettings.model_fields])
def test_every_option_of_the_sum_and_the_filters_is_told(option: str):
    assert f"`{option}`" in TEXT


def test_every_metric_is_told():
    found = scored(composed(Told({"x": 1.0}), filters={"shortest": 1}), "x", "").metrics
    told = set(re.findall(r"rewards/[\w/]+", " ".join(ROWS)))
    assert {name.replace("rewards/a/", "rewards/NAME/") for name in found} == told
