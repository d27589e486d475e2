"""Every hostile text in every tab, as prompt, completion, reason, tag, name and chat; and what the page's own server
gives away: nothing runs, nothing is fetched, no file is read."""

import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostile import LINE, texts
from playwright.sync_api import expect
from rows import record_history

from storage.comparisons import record_comparison
from storage.database import Database
from storage.preferences import record_preference
from storage.prompts import list_prompts, record_prompt
from storage.tables import Choice, ComparisonState, Completion, Purpose, Split, TrainingRun

pytestmark = pytest.mark.browser

READY = {
    "overview": "#page-overview .js-plotly-plot",
    "label": ".compare[data-comparison]",
    "chat": "#chat-view .log",
    "train": "#runs li",
    "train/dpo-0002": "#run-detail-text table",
    "win-rates": "#win-rates-table table",
    "win-rates/1": "#verdicts .verdict",
    "data": "#preferences table",
    "settings": "#started table",
}
KNOWN = ("favicon", "manifest.json")
# what only a text could have brought in
FOREIGN = (
    "main :is(iframe, object, embed, video, marquee, base, math, template), main img[src*='evil'], main [srcset], "
    "main form[action*='evil'], main a[href^='javascript:'], main a[href^='data:'], main [onload], main [onerror], "
    "main [onfocus], main [ontoggle], main [onstart], main [onanimationstart], main [onmouseover], "
    "main [onclick*=hacked], main .text *, main textarea *"
)


def record_hostile(database: Database, data_dir: Path, *, slot: Any) -> None:
    """A project with a past, in which every one of the texts has been asked, written, chosen and given as a reason."""
    record_history(database, data_dir, slot=slot)
    with database.write() as session:
        for number, text in enumerate(texts().values()):
            prompt = record_prompt(
                session,
                messages=[{"role": "user", "content": text.replace("\0", "")}],
                source="test",
                split=Split.heldout if number % 2 else Split.train,
                tags=[text[:200]],
            )
            assert prompt.id is not None
            sides = [Completion(prompt_id=prompt.id, text=t, checkpoint_id="initial") for t in (text, f"not {text}")]
            comparison = record_comparison(
                session,
                prompt_id=prompt.id,
                left=sides[0],
                right=sides[1],
                purpose=Purpose.train,
                state=ComparisonState.leased,
            )
            record_preference(
                session,
                comparison_id=comparison.id,
                labeller_id="f" * 32,
                choice=Choice.left,
                client_id=f"hostile-{number}",
                reason=text[:5000],
            )
        run = session.get_one(TrainingRun, "dpo-0004")
        run.error = run.dataset_note = " ".join(texts(long=False).values())
    (data_dir / "runs" / "dpo-0005" / "log").write_text("\n".join(texts(long=False).values()))


@pytest.fixture
def hostile(serve: Any) -> Any:
    """That project, served, by an engine that writes these texts."""
    filled: dict[str, Any] = {}
    world = serve(rows=lambda database, data_dir: filled.update(database=database, data_dir=data_dir))
    record_hostile(filled["database"], filled["data_dir"], slot=world.application.slot)
    world.engine.texts = list(texts(long=False).values()) * 4
    return world


def check_inert(watched: Any, where: str) -> None:
    page = watched.page
    assert page.evaluate("window.hacked") is None, where
    found = page.locator(FOREIGN)
    assert found.count() == 0, (where, found.first.evaluate("e => e.outerHTML.slice(0, 300)"))
    assert watched.strays == [] and watched.dialogs == [], where
    assert page.url.startswith("http://127.0.0.1"), where


def test_fifty_hostile_texts_are_inert_in_every_tab(hostile: Any, visit: Any) -> None:
    watched = visit(hostile, "data")
    page = watched.page
    for tab in ("data", *(tab for tab in READY if tab not in ("data", "chat"))):
        page.evaluate("tab => { location.hash = tab }", tab)
        page.wait_for_selector(READY[tab], timeout=60_000)
        page.wait_for_timeout(700)
        check_inert(watched, tab)
    page.evaluate("location.hash = 'data'")
    for _ in range(8):  # every page of preferences and prompts
        more = page.locator("#page-data").get_by_role("button", name="Older", exact=False)
        if not more.count():
            break
        more.first.click()
        page.wait_for_timeout(700)
        check_inert(watched, "older")
    console = [line for line in watched.console if not any(known in line for known in KNOWN)]
    assert console == []


def test_a_text_of_a_megabyte_is_cut_in_a_list_and_counted(hostile: Any, visit: Any) -> None:
    page = visit(hostile, "data").page
    page.wait_for_selector("#preferences table", timeout=60_000)
    size = page.locator("#page-data").evaluate("e => e.innerHTML.length")
    assert size < LINE, "one page of a list is smaller than one long text"
    expect(page.locator("#page-data")).to_contain_text("more characters")


def test_words_beside_an_open_right_to_left_override_keep_their_order(hostile: Any, visit: Any) -> None:
    page = visit(hostile, "data").page
    page.wait_for_selector("#preferences table", timeout=60_000)
    order = """() => [...document.querySelectorAll('main td, main li, main p, main span, main div.text')]
        .filter(e => e.children.length === 0 && e.textContent.includes('\\u202e'))
        .map(e => getComputedStyle(e).unicodeBidi)"""
    found = page.evaluate(order)
    assert found and set(found) <= {"isolate", "plaintext", "isolate-override"}, found


def test_hostile_messages_and_replies_are_text_in_the_chat(hostile: Any, visit: Any) -> None:
    watched = visit(hostile, "chat")
    page = watched.page
    page.wait_for_selector("#chat-view .state, #chat-view .log")
    for name in ("script", "closed before", "iframe", "form", "markdown image", "terminal", "starter's tokens"):
        text = texts()[name]
        page.wait_for_selector("body:not(.is-replying)")
        page.get_by_label("Message").fill(text)
        page.keyboard.press("Enter")
        expect(page.locator("#chat-view .turn.user .text").last).to_be_visible()
        expect(page.locator("body")).not_to_have_class("is-replying")
        page.wait_for_selector("body:not(.is-replying)")
        check_inert(watched, name)
    assert page.locator("#chat-view .turn.user").count() == page.locator("#chat-view .turn.assistant").count() == 7


# ---- the page's own server ------------------------------------------------------------------------------------------
OUTSIDE = ("/etc/passwd", "../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "file:///etc/passwd")


def test_no_file_of_the_machine_is_given_away(world: Any) -> None:
    database = world.application.settings.data_dir / "prefloop.sqlite"
    own = [str(database), str(Path(__file__)), str(Path.cwd() / "README.md")]
    for route in ("/gradio_api/file=", "/gradio_api/proxy=", "/file=", "/static/", "/assets/", "/theme.css?"):
        for path in (*OUTSIDE, *own, "http://127.0.0.1:9/inside"):
            answer = httpx.get(f"{world.url}{route}{path}")
            assert "root:" not in answer.text and "SQLite format" not in answer.text, (route, path)
            assert "PrefLoop" not in answer.text or answer.headers["content-type"].startswith("text/html"), (
                route,
                path,
            )
            assert answer.status_code < 500 or route == "/gradio_api/proxy=", (route, path, answer.text[:200])


def test_the_page_imports_what_was_uploaded_and_no_path_that_somebody_names(world: Any) -> None:
    config = httpx.get(f"{world.url}/config").json()
    kinds = {c["id"]: c for c in config["components"]}
    box = next(number for number, one in kinds.items() if one["props"].get("elem_id") == "import-file")
    upload = next(d for d in config["dependencies"] if [box, "upload"] in d["targets"])
    inside = world.application.settings.data_dir / "pairs.jsonl"
    inside.write_text('{"prompt": "stolen?", "chosen": "yes", "rejected": "no"}\n')
    remote = "http://127.0.0.1:9/pairs.jsonl"
    for path in ("/etc/passwd", str(inside), f"{inside.parent}/../data/pairs.jsonl", remote, "x\0y"):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for given in (
            [file, "trl", False],
            [file | {"is_stream": True}, "trl", False],
            [None, {"deep": [file]}, False],
        ):
            told = _call(world.url, upload["id"], given)
            assert "root:" not in told and "not JSON" not in told and "1 added" not in told, told[:900]
            assert "was not uploaded here" in told or '"success":false' in told.replace(" ", ""), told[:900]
    with world.database.read() as session:
        assert not list_prompts(session, search="stolen")


def _call(url: str, function: int, data: list[Any]) -> str:
    """Everything that the page's server says to this call of one of its handlers."""
    session = secrets.token_hex(5)
    asked = {"data": data, "fn_index": function, "session_hash": session}
    httpx.post(f"{url}/gradio_api/queue/join", json=asked).raise_for_status()
    told = ""
    with httpx.stream("GET", f"{url}/gradio_api/queue/data", params={"session_hash": session}, timeout=20) as stream:
        for line in stream.iter_lines():
            told += line
            if line.startswith("data:") and json.loads(line[5:])["msg"] == "process_completed":
                return told
    return told
