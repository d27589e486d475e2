"""`prefloop evaluate --judge`, from the command line to the stored verdicts, on a tiny real model."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from judging import reply, serving

from app import cli
from app.project import bind_model
from app.verdicts import find_point
from storage.database import Database
from storage.errors import Invalid
from storage.evaluations import list_evaluations, verdicts_of
from storage.prompts import record_prompt
from storage.tables import Judge, Split, VerdictKind
from storage.transfer import import_file
from trainer.evaluation.judged_texts import build_cases, chosen_texts, texts_of_file
from trainer.evaluation.judges.opening import JudgeOptions
from trainer.evaluation.judges.rubric_shelf import RubricShelf
from trainer.evaluation.judging import opened

Evaluate = Callable[..., dict[str, Any]]
QUESTIONS = [f"What is {word}?" for word in ("air", "fire", "water", "earth", "time", "space", "sleep", "salt")]


@pytest.fixture
def project(tmp_path: Path, tiny_model_dir: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory bound to the tiny model, with eight held-out prompts, and a file of outputs for each."""
    bind_model(database, initial_model=str(tiny_model_dir), model_source=str(tiny_model_dir))
    with database.write() as session:
        for question in QUESTIONS:
            messages = [{"role": "user", "content": question}]
            record_prompt(session, messages=messages, source="test", split=Split.heldout, reference=f"Re: {question}")
    rows = [{"instruction": question, "output": f"Re: {question}"} for question in QUESTIONS]
    (tmp_path / "outputs.json").write_text(json.dumps(rows))
    monkeypatch.setenv("PREFLOOP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PREFLOOP_MODEL", str(tiny_model_dir))
    monkeypatch.setenv("PREFLOOP_DEVICE", "cpu")
    return tmp_path


@pytest.fixture
def evaluate(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Evaluate:
    """evaluate("--judge", ...) is what the command prints as JSON; its exit status is under "status", errors too."""

    def run(*arguments: str) -> dict[str, Any]:
        baseline = str(project / "outputs.json")
        monkeypatch.setattr(
            sys, "argv", ["prefloop", "evaluate", "initial", "--baseline", baseline, "--json", *arguments]
        )
        with pytest.raises(SystemExit) as end:
            cli.main()
        told = capfd.readouterr()
        return {**(json.loads(told.out) if told.out else {}), "status": end.value.code, "errors": told.err}

    return run


def test_verdicts_are_printed_stored_and_not_asked_for_again(evaluate: Evaluate, database: Database) -> None:
    first = evaluate("--judge", "similarity")
    assert first["status"] == 0, first["errors"]
    assert first["verdicts"]["loss"] == 8 and first["win_rate"] == 0.0  # a random model against the reference itself
    second = evaluate("--judge", "similarity")
    assert (first["calls"]["asked"], second["calls"]["asked"], second["calls"]["stored"]) == (8, 0, 8)
    assert first["replies"] == second["replies"]
    with database.read() as session:
        stored = list_evaluations(session)
        verdicts = verdicts_of(session, first["evaluation"])
        judge = session.get(Judge, stored[0].judge_id)
    assert [e.id for e in stored] == [first["evaluation"], second["evaluation"]]
    assert {v.verdict for v in verdicts} == {VerdictKind.loss} and judge is not None and judge.kind == "similarity"
    assert stored[0].baseline == "file:outputs.json" and verdicts[0].texts["replies"][0]["keys"]


def test_the_same_evaluation_asked_for_again_loads_no_model_nor_torch(evaluate: Evaluate, project: Path) -> None:
    command = ["evaluate", "initial", "--baseline", str(project / "outputs.json"), "--judge", "similarity", "--json"]
    first = evaluate("--judge", "similarity")
    ends = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))"
    program = f"{ends}; from app.cli import main; sys.argv[1:] = {command!r}; main()"
    again = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["verdicts"] == first["verdicts"]
    assert again.stderr.splitlines()[-1] == "False"


def test_other_prompts_are_sampled_anew(evaluate: Evaluate, project: Path, database: Database) -> None:
    evaluate("--judge", "similarity")
    with database.write() as session:
        record_prompt(session, messages=[{"role": "user", "content": "And tin?"}], source="test", split=Split.heldout)
    rows = [{"instruction": question, "output": f"Re: {question}"} for question in [*QUESTIONS, "And tin?"]]
    (project / "outputs.json").write_text(json.dumps(rows))
    assert evaluate("--judge", "similarity")["prompts"] == 9


def test_a_server_judges_within_a_budget_and_the_next_call_goes_on(evaluate: Evaluate) -> None:
    with serving(rule=lambda payload: reply("Reasons.\n[[tie]]")) as fake:
        server = ["--judge", f"{fake.url}#m", "--way", "text", "--price", "1000", "10000", "--concurrency", "1"]
        poor = evaluate(*server, "--budget", "13")
        assert poor["status"] == 1 and "Not finished" in poor["errors"] and "budget of 13" in poor["errors"]
        asked = len(fake.seen)
        assert 0 < asked < 16
        rich = evaluate(*server, "--budget", "1000")
    assert rich["status"] == 0, rich["errors"]
    assert len(fake.seen) == 16 and rich["calls"]["stored"] == asked and rich["verdicts"]["tie"] == 8
    assert f"{16 - asked} calls to make" in rich["errors"] and "at most" in rich["errors"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--judge", "/no/such/folder"], "/no/such/folder"),
        (["--judge", "similarity", "--rubric", "nonsense"], "no rubric 'nonsense'"),
        (["--judge", "similarity", "--judge", "similarity"], "two or more different judges"),
        (["--judge", "similarity", "--orders", "three"], "no order 'three'"),
        (["--judge", "http://127.0.0.1:9/v1#m", "--way", "text", "--budget", "1"], "without prices"),
        (["--judge", "http://127.0.0.1:9/v1"], "give http://127.0.0.1:9/v1#MODEL"),
    ],
)
def test_a_judge_that_cannot_be_used_is_refused_in_one_line(
    evaluate: Evaluate, arguments: list[str], told: str
) -> None:
    found = evaluate(*arguments)
    assert found["status"] == 1 and told in found["errors"]


def test_imported_outputs_are_a_baseline_and_the_record_names_the_model(
    evaluate: Evaluate, project: Path, database: Database
) -> None:
    rows = [{"instruction": question, "output": f"Re: {question}", "generator": "gpt-x"} for question in QUESTIONS[:6]]
    (project / "theirs.json").write_text(json.dumps(rows))
    assert import_file(database, path_or_stream=project / "theirs.json", format="alpaca-eval").added == 6
    found = evaluate("--judge", "similarity", "--baseline", "outside:gpt-x")
    assert (found["status"], found["verdicts"]["loss"], found["baseline"]) == (0, 6, "outside:gpt-x"), found["errors"]
    with database.read() as session:
        (stored,) = list_evaluations(session)
        texts = [verdict.texts["baseline"] for verdict in verdicts_of(session, found["evaluation"])]
        assert find_point(session, str(stored.id)).baseline == "gpt-x (imported)"  # type: ignore[union-attr]
    assert stored.baseline == "outside:gpt-x" and sorted(texts) == sorted(row["output"] for row in rows)


def test_a_rubric_of_the_project_is_gone_by_and_the_record_and_its_version_stay(
    evaluate: Evaluate, project: Path, database: Database
) -> None:
    shelf = RubricShelf(project / "data")
    mine = shelf.save(shelf.find("helpful").text.replace("This counts most.", "Only this counts."))
    with serving(rule=lambda payload: reply("Reasons.\n[[tie]]")) as fake:
        found = evaluate("--judge", f"{fake.url}#m", "--way", "text", "--rubric", "helpful")
    assert found["status"] == 0, found["errors"]
    assert all("Only this counts." in str(payload["messages"]) for payload in fake.seen)
    (project / "data" / "rubrics" / "helpful.toml").unlink()
    with database.read() as session:
        (stored,) = list_evaluations(session)
        point = find_point(session, str(stored.id))
    assert stored.config["rubric"] == {"name": "helpful", "digest": mine.rubric.digest} == found["rubric"]
    assert point is not None and point.rubric is not None
    assert shelf.find(f"{point.rubric.name}@{point.rubric.digest}").text == mine.text


def test_a_judge_that_goes_by_no_rubric_is_the_same_judge_whatever_one_is_named(
    evaluate: Evaluate, database: Database
) -> None:
    found = [evaluate("--judge", "similarity", "--rubric", name) for name in ("helpful", "correct")]
    assert [one["rubric"] for one in found] == [None, None]
    with database.read() as session:
        assert len({one.judge_id for one in list_evaluations(session)}) == 1


def test_a_file_of_outputs_is_matched_by_the_text_of_the_prompt(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text('{"instruction": " Why? ", "output": "x"}\n{"prompt": "How?", "output": "y"}\n')
    assert texts_of_file(path, {"Why?": 7, "How?": 8, "When?": 9}) == {7: "x", 8: "y"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ('{"instruction": "Why?"}', "Row 1"),
        ('{"instruction": "Other?", "output": "x"}', "None of the 1 instructions"),
        ("[1]", "Row 1"),
    ],
)
def test_a_file_that_holds_no_outputs_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "o").write_text(text)
    with pytest.raises(Invalid, match=told):
        texts_of_file(tmp_path / "o", {"Why?": 7})


def test_only_prompts_with_both_texts_are_compared(database: Database, project: Path) -> None:
    cases = build_cases(database, {1: "a", 2: "b"}, {2: "c", 3: "d"})
    assert [(case.prompt, case.candidate, case.baseline, case.reference) for case in cases] == [
        ("2", "b", "c", f"Re: {QUESTIONS[1]}")
    ]


def test_without_chosen_texts_there_is_no_such_baseline(database: Database) -> None:
    with pytest.raises(Invalid, match="No held-out prompt has a chosen text"):
        chosen_texts(database)


def test_a_checkpoint_of_the_project_judges_by_its_id(tmp_path: Path, tiny_model_dir: Path) -> None:
    shutil.copytree(tiny_model_dir, tmp_path / "checkpoints" / "sft-0001")
    with opened(tmp_path, JudgeOptions(["sft-0001"]), device="cpu", base="") as bench:
        assert bench.judge.kind == "local" and bench.judge.name.endswith("checkpoints/sft-0001:word:helpful")


def test_a_judges_connections_are_closed_with_it_even_where_its_panel_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[httpx.Client] = []
    create = httpx.Client.__init__

    def remember(client: httpx.Client, *arguments: Any, **named: Any) -> None:
        made.append(client)
        create(client, *arguments, **named)

    monkeypatch.setattr(httpx.Client, "__init__", remember)
    server = "http://127.0.0.1:9/v1#m"
    with opened(tmp_path, JudgeOptions([server], way="text"), device="cpu", base="") as bench:
        assert bench.judge.kind == "endpoint" and not made[0].is_closed
    with pytest.raises(Invalid, match="two or more different judges"):
        with opened(tmp_path, JudgeOptions([server, server], way="text"), device="cpu", base=""):
            pass
    assert len(made) == 3 and all(client.is_closed for client in made)
