"""The project's rubrics as a person meets them: read, checked with a preview, saved; every version stays.

Shared by the page and the API. Leaves out what a rubric's text must be (trainer/evaluation/judges/rubric_text.py) and
where it lies (rubric_shelf.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, get_args

from sqlmodel import Session

from storage.database import Database
from storage.errors import Conflict, Invalid, NotFound
from storage.prompts import list_prompts
from storage.tables import Split
from trainer.evaluation.judges.base import Ask, Comparison
from trainer.evaluation.judges.rubric import Form, Rubric, RubricError, check_fit, judge_messages, new_fence
from trainer.evaluation.judges.rubric_shelf import LEAST_DIGEST, RubricShelf, Shelved, Version
from trainer.evaluation.judges.rubric_text import Fault, FaultyRubric, parse_rubric

FORMS: dict[Form, str] = {
    "json": "a server, as JSON",
    "word": "a local model, by one word",
    "reasons": "a local model, with reasons",
}
LOOKED_AT = 100  # held-out prompts, for one that the rubric fits
SAMPLE = (  # the texts of the sample comparison, and its prompt where the project has none that fits
    "This is the first of two texts. It does what was asked, and says so in one sentence.",
    "This is the second text. It is longer, repeats itself, repeats itself, and ends in the middle of",
)
QUESTION, REFERENCE = "How many legs has a spider?", "Eight."


@dataclass(frozen=True)
class RubricUsed:
    """The rubric that an evaluation is or was judged by, in that version."""

    name: str
    digest: str


@dataclass(frozen=True)
class RubricView:
    """A rubric by its name. `rubric` is None where the file cannot be used, and `problem` says why."""

    name: str
    origin: str  # "packaged", or "project" where the project has its own
    replaces_packaged: bool
    rubric: Rubric | None
    text: str
    problem: str = ""

    @property
    def digest(self) -> str:
        return self.rubric.digest if self.rubric else ""

    @property
    def about(self) -> str:
        """What it judges by, in a line: its first criterion."""
        return self.rubric.criteria[0] if self.rubric else self.problem


@dataclass(frozen=True)
class Checked:
    """A text that somebody is writing: what is wrong with it, or the messages that a judge would get."""

    rubric: Rubric | None
    faults: Sequence[Fault]
    messages: Sequence[dict[str, str]]


Views = list[RubricView]  # `list` is also a method of Rubrics


class Rubrics:
    """The rubrics of one project."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        self._database = database
        self._shelf = RubricShelf(data_dir)
        self._saving = Lock()

    def list(self) -> Views:
        """All, by name; those that cannot be used too, with the reason."""
        return [self.get(name) for name in self._shelf.names()]

    def get(self, name: str) -> RubricView:
        """The one in use under this name. Raises NotFound."""
        path = self._shelf.path(name)
        if path is None:
            raise NotFound(f"There is no rubric {name[:80]!r}.", hint=f"There are {', '.join(self._shelf.names())}.")
        try:
            shelved = self._shelf.find(name)
        except RubricError as error:
            text = path.read_text(encoding="utf-8", errors="replace")
            return RubricView(name, "project", self._shelf.is_packaged(name), None, text, str(error))
        own = shelved.origin == "project"
        return RubricView(name, shelved.origin, own and self._shelf.is_packaged(name), shelved.rubric, shelved.text)

    def find(self, source: str) -> Shelved:
        """By NAME or NAME@DIGEST, never by a path. Raises Invalid."""
        try:
            found = self._shelf.named(source)
        except RubricError as error:
            raise Invalid(f"The rubric {source[:80]!r} cannot be used: {error}") from error
        if found is None:
            raise Invalid(
                f"There is no rubric {source[:80]!r} here.",
                hint=f"There are {', '.join(self._shelf.names())}; NAME@HASH names an earlier version.",
            )
        return found

    def version(self, name: str, digest: str) -> Shelved:
        """A version that is kept. Raises NotFound."""
        try:
            found = self._shelf.named(f"{name}@{digest}")
        except RubricError as error:
            raise NotFound(str(error), hint=f"GET /api/v1/rubrics/{name[:80]} lists its versions.") from error
        if found is None:
            raise NotFound(
                f"{name[:80]}@{digest[:80]} names no version of a rubric.",
                hint=f"Give its name and at least {LEAST_DIGEST} characters of its hash.",
            )
        return found

    def versions(self, name: str) -> Sequence[Version]:
        """Every version that was saved or judged by, newest first."""
        return self._shelf.versions(name)

    def keep(self, shelved: Shelved) -> None:
        """Keep this version, because something is about to be judged by it."""
        self._shelf.keep(shelved)

    def check(self, text: str, *, form: str = "json") -> Checked:
        """Every fault, or the exact messages of a sample comparison; saves nothing. Raises Invalid for no such form."""
        if form not in get_args(Form):
            raise Invalid(f"There is no way {form[:80]!r} of asking.", hint=f"Use one of {', '.join(FORMS)}.")
        try:
            rubric = parse_rubric(text)
        except FaultyRubric as error:
            return Checked(None, error.faults, ())
        with self._database.read() as session:
            ask = Ask(_sample(session, rubric), new_fence())
        return Checked(rubric, (), judge_messages(rubric, ask, form))  # type: ignore[arg-type]

    def save(self, text: str, *, name: str | None = None, replaces: str | None = None) -> tuple[RubricView, bool]:
        """Make the text the rubric of the name it sets; whether that name is new here.

        `name` is the one expected; `replaces` the hash of the rubric that was edited, empty for a new name: somebody
        else's change is never lost from sight. Raises Invalid with every fault, and Conflict.
        """
        text = text.replace("\r\n", "\n").strip() + "\n"
        try:
            rubric = parse_rubric(text)
        except FaultyRubric as error:
            told = str(error)
            raise Invalid(
                f"It is not saved: {told}.", hint="Mend these lines and save again.", code="bad_rubric"
            ) from error
        if name is not None and rubric.name != name:
            raise Invalid(
                f"The text sets the name {rubric.name!r}.", hint=f'Set name = "{name}", or save it as that one.'
            )
        with self._saving:
            known = self.get(rubric.name) if self._shelf.path(rubric.name) else None
            if replaces is not None and replaces != (known.digest if known else ""):
                _refuse(rubric.name, known)
            self._shelf.save(text)
        return self.get(rubric.name), known is None


def rubric_used(config: Mapping[str, Any]) -> RubricUsed | None:
    """Of an evaluation's config, as its process or the gate recorded it, or as it was asked for."""
    if told := config.get("rubric"):
        return RubricUsed(told["name"], told["digest"])
    name, _, digest = (config.get("asked", {}).get("rubric") or "").partition("@")
    return RubricUsed(name, digest) if name else None


def _refuse(name: str, known: RubricView | None) -> None:
    if known is None:
        raise Conflict(f"There is no rubric {name!r} any more.", hint="Save it without saying what it replaces.")
    raise Conflict(
        f"There is a rubric {name!r} that is another than the one you edited (now {known.digest[:LEAST_DIGEST]}).",
        hint="Open that one and edit it, or set another name.",
    )


def _sample(session: Session, rubric: Rubric) -> Comparison:
    """Two made-up texts on the first held-out prompt that the rubric fits, or on a question of ours."""
    first, second = SAMPLE
    for prompt in list_prompts(session, split=Split.heldout, limit=LOOKED_AT):
        found = Comparison(tuple(prompt.messages), first, second, prompt.reference)
        try:
            check_fit(rubric, found)
        except RubricError:
            continue
        return found
    return Comparison(({"role": "user", "content": QUESTION},), first, second, REFERENCE)
