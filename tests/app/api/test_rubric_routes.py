"""Rubrics over HTTP: listed, read, checked with a preview, saved; and an evaluation is judged by the one it named."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.evaluations import Evaluations
from app.settings import Settings
from storage.evaluations import get_evaluation
from storage.tables import Evaluation, RunStatus
from trainer.evaluation.judges.rubric_shelf import PACKAGED

PATH = "/api/v1/rubrics"
GOOD = (PACKAGED / "helpful.toml").read_text()
MINE = GOOD.replace("This counts most.", "This counts, and nothing else.")
NEW = GOOD.replace('"helpful"', '"mine"')
ASKED = {"candidate": "dpo-0001", "baseline": "initial", "judge": "big", "prompts": 8}


@pytest.fixture
def judged(client: TestClient, parts: Any) -> TestClient:
    parts.add_checkpoint("dpo-0001")
    settings = Settings(data_dir=parts.data_dir, judges="big=http://127.0.0.1:9/v1#m, similarity")
    parts.evaluations = Evaluations(parts.database, settings)
    return client


def put(client: TestClient, text: str, name: str = "helpful", **more: Any) -> Any:
    return client.put(f"{PATH}/{name}", json={"text": text, **more})


def test_the_packaged_rubrics_are_listed_and_read(client: TestClient) -> None:
    items = {one["name"]: one for one in client.get(PATH).json()["items"]}
    assert set(items) == {"correct", "helpful", "quality"}
    assert {one["origin"] for one in items.values()} == {"packaged"}
    assert items["correct"]["reference"] == "required"
    shown = client.get(f"{PATH}/helpful").json()
    assert shown["text"] == GOOD and shown["digest"] == items["helpful"]["digest"] and shown["versions"] == []


def test_a_saved_rubric_takes_the_packaged_ones_place_and_its_versions_stay(client: TestClient) -> None:
    before = client.get(f"{PATH}/helpful").json()["digest"]
    saved = put(client, MINE)
    assert saved.status_code == 200
    shown = client.get(f"{PATH}/helpful").json()
    assert (shown["origin"], shown["replaces_packaged"], shown["text"]) == ("project", True, MINE)
    assert {v["digest"]: v["in_use"] for v in shown["versions"]} == {before: False, shown["digest"]: True}
    old = client.get(f"{PATH}/helpful/versions/{before[:12]}").json()
    assert (old["digest"], old["text"]) == (before, GOOD)


def test_a_new_name_is_created(client: TestClient) -> None:
    assert [put(client, NEW, "mine").status_code for _ in range(2)] == [201, 200]
    assert "mine" in {one["name"] for one in client.get(PATH).json()["items"]}


def test_every_fault_is_told_with_its_line_and_nothing_is_saved(client: TestClient, parts: Any) -> None:
    answer = put(client, GOOD.replace("ties = true", "ties = 1").replace('"multi"', '"many"'))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "bad_rubric")
    assert "line 3: turns is 'many'" in error["message"] and "line 5: ties is 1; give true or false" in error["message"]
    assert not (Path(parts.data_dir) / "rubrics").exists()


@pytest.mark.parametrize(
    ("name", "text", "status", "told"),
    [
        ("other", GOOD, 422, "sets the name 'helpful'"),
        ("..%2Fother", GOOD, 404, ""),
        ("Other", GOOD.replace('"helpful"', '"Other"'), 422, "small letters"),
    ],
)
def test_a_name_that_is_not_the_texts_or_none_at_all_is_refused(
    client: TestClient, name: str, text: str, status: int, told: str
) -> None:
    answer = put(client, text, name)
    assert answer.status_code == status and told in answer.text


def test_a_change_that_somebody_else_made_meanwhile_is_not_overwritten(client: TestClient) -> None:
    read = client.get(f"{PATH}/helpful").json()["digest"]
    assert put(client, MINE, replaces=read).status_code == 200
    late = put(client, GOOD.replace("all of it", "most of it"), replaces=read)
    assert late.status_code == 409 and "another than the one you edited" in late.json()["error"]["message"]
    assert put(client, NEW, "mine", replaces="").status_code == 201
    assert put(client, NEW, "mine", replaces="").status_code == 409
    assert client.get(f"{PATH}/helpful").json()["text"] == MINE


def test_a_check_shows_the_very_messages_and_saves_nothing(client: TestClient, parts: Any) -> None:
    found = client.post(f"{PATH}/check", json={"text": MINE, "form": "word"}).json()
    system, user = found["messages"]
    assert found["faults"] == [] and found["name"] == "helpful"
    assert "This counts, and nothing else." in system["content"]
    asked = client.get("/api/v1/prompts?split=heldout").json()["items"][0]["messages"][-1]["content"]
    assert asked in user["content"] and asked not in system["content"]
    assert user["content"].endswith("Reply with one of these words and nothing else: A, B or tie.")
    assert not (Path(parts.data_dir) / "rubrics").exists()


def test_a_check_names_the_faults_and_a_rubric_that_needs_a_reference_gets_a_sample_with_one(
    client: TestClient,
) -> None:
    faulty = client.post(f"{PATH}/check", json={"text": "name = "}).json()
    assert (faulty["digest"], faulty["messages"]) == (None, []) and faulty["faults"][0]["line"] == 1
    needs = client.post(f"{PATH}/check", json={"text": GOOD.replace('"if_given"', '"required"')}).json()
    assert "a reference that is known to be right" in needs["messages"][1]["content"]


def test_an_evaluation_is_queued_with_the_version_of_that_moment(judged: TestClient, parts: Any) -> None:
    first = put(judged, MINE).json()["digest"]
    made = judged.post("/api/v1/evaluations", json=ASKED | {"rubric": "helpful"}).json()
    put(judged, GOOD)
    assert made["rubric"] == {"name": "helpful", "digest": first}
    with parts.database.read() as session:
        assert get_evaluation(session, made["id"]).config["asked"]["rubric"] == f"helpful@{first}"
    other = judged.post("/api/v1/evaluations", json=ASKED | {"rubric": "correct"})
    assert other.status_code == 201 and other.json()["rubric"]["name"] == "correct"
    again = judged.post("/api/v1/evaluations", json=ASKED | {"rubric": f"helpful@{first[:12]}"})
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    assert judged.get(f"{PATH}/correct/versions/{other.json()['rubric']['digest']}").status_code == 200


@pytest.mark.parametrize("rubric", ["nobody", "/etc/passwd", "helpful@aaaaaaaaaaaa", "../helpful", ""])
def test_a_rubric_that_is_not_there_is_refused_before_anything_is_queued(judged: TestClient, rubric: str) -> None:
    answer = judged.post("/api/v1/evaluations", json=ASKED | {"rubric": rubric})
    assert (answer.status_code == 201) == (rubric == "")  # nothing named: the default
    assert rubric == "" or "rubric" in answer.json()["error"]["message"]


def test_a_judge_that_goes_by_none_takes_none(judged: TestClient) -> None:
    assert {j["name"]: j["by_rubric"] for j in judged.get("/api/v1/judges").json()["items"]}["similarity"] is False
    refused = judged.post("/api/v1/evaluations", json=ASKED | {"judge": "similarity", "rubric": "helpful"})
    assert refused.status_code == 422 and "goes by no rubric" in refused.json()["error"]["message"]
    assert judged.post("/api/v1/evaluations", json=ASKED | {"judge": "similarity"}).json()["rubric"] is None


def test_the_record_of_a_finished_evaluation_names_rubric_and_hash(client: TestClient, parts: Any) -> None:
    parts.add_checkpoint("dpo-0001")
    config = {"rubric": {"name": "helpful", "digest": "ab" * 32}}
    row = Evaluation(candidate_id="dpo-0001", baseline="initial", status=RunStatus.succeeded, config=config)
    with parts.database.write() as session:
        session.add(row)
    assert client.get("/api/v1/evaluations").json()["items"][0]["rubric"] == config["rubric"]
