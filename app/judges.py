"""The judges that people may choose: the starter's, those the operator listed, reward models of this project, people.

A person only ever names one of these; an address, a folder or a hub id typed by a person is no judge. Leaves out asking
them (trainer/evaluation/judging.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from sqlmodel import Session

from storage.checkpoints import list_checkpoints
from storage.errors import Refused
from storage.people_evaluations import PEOPLE
from storage.tables import CheckpointKind
from trainer.evaluation.judges.base import Kind
from trainer.evaluation.judges.identity import ASKED_BY_RUBRIC
from trainer.evaluation.judges.named import kind_of
from trainer.starter import JUDGE_WEIGHTS

STARTER = "starter"
OfferedKind = Kind | Literal["people"]
ABOUT: dict[OfferedKind, str] = {
    "starter": "the embedded judge: right and well-formed, not style; for the starter's descendants only",
    "endpoint": "a model on a server",
    "local": "a language model on this machine",
    "similarity": "nearness to the prompt's reference",
    "reward_model": "a reward model, learnt from choices; sees no order, so one call stands for both",
    "people": "whoever labels: nobody can tell these comparisons from the others",
}


@dataclass(frozen=True)
class OfferedJudge:
    """A judge by the name people choose it by. `source` is what prefloop evaluate --judge takes."""

    name: str
    source: str
    kind: OfferedKind

    @property
    def about(self) -> str:
        return ABOUT[self.kind]

    @property
    def by_rubric(self) -> bool:
        """Whether it goes by a rubric that can be chosen; the others have their own form."""
        return self.kind in ASKED_BY_RUBRIC


def listed_judges(listed: str) -> dict[str, str]:
    """Name -> source of PREFLOOP_JUDGES: NAME=SOURCE or SOURCE, separated by commas. Raises Refused."""
    judges: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in listed.split(","))):
        named = re.fullmatch(r"([\w .-]+)=(.+)", item)
        name, source = (named[1].strip(), named[2].strip()) if named else (item, item)
        if name in (STARTER, PEOPLE, *judges):
            raise Refused(f"PREFLOOP_JUDGES names {name!r} twice.", hint="Give each judge a name of its own.")
        if source.startswith(("http://", "https://")) and "@" in urlsplit(source).netloc:
            raise Refused(
                f"The address of the judge {name!r} has a password in it, which would be stored.",
                hint="Give the key with PREFLOOP_JUDGE_KEY.",
            )
        judges[name] = source
    return judges


def offered_judges(session: Session, *, listed: Mapping[str, str], starter: bool) -> list[OfferedJudge]:
    """All, by name, people last; `starter` says whether the project's models descend from the starter."""
    found: list[OfferedJudge] = [OfferedJudge(name, source, kind_of(source)) for name, source in listed.items()]
    if starter and JUDGE_WEIGHTS.is_dir():
        found.insert(0, OfferedJudge(STARTER, STARTER, "starter"))
    rewards = (c for c in list_checkpoints(session) if c.kind is CheckpointKind.reward_model)
    found += [OfferedJudge(c.id, c.id, "reward_model") for c in rewards if c.id not in listed]
    return [*found, OfferedJudge(PEOPLE, PEOPLE, "people")]
