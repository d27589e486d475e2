"""Judges that are models, on tiny real ones: exact log-probabilities, shared beginnings, rewards, the starter."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer.evaluation.judges.asking import Asking
from trainer.evaluation.judges.base import Ask, Comparison, Reply, Said
from trainer.evaluation.judges.cache import ReplyCache
from trainer.evaluation.judges.local import LocalJudge
from trainer.evaluation.judges.reward_model import RewardModelJudge
from trainer.evaluation.judges.rubric import Rubric
from trainer.evaluation.judges.rubric_shelf import read_rubric
from trainer.evaluation.judges.spelling import spellings
from trainer.evaluation.judges.starter import StarterJudge, is_starter_judge
from trainer.evaluation.judges.verdict_logprobs import can_share, continuation_logprobs
from trainer.policy import Policy, load_policy
from trainer.sampling import Generated
from trainer.tensors import completion_logprobs

SHORT = Rubric("short", "Judge.", "{{prompt}}{{first}}{{second}}", ("Right.",), reference="never", longest_text=100)
ASKED = ({"role": "user", "content": "Hi"},)


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path) -> Policy:
    return load_policy(tiny_model_dir, device="cpu")


@pytest.fixture(scope="module")
def roomy_model_dir(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with positions enough for a rubric of bytes."""
    folder = tmp_path_factory.mktemp("roomy") / "model"
    shutil.copytree(tiny_model_dir, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    return folder


def prompts(seed: int) -> list[list[int]]:
    """Pairs with a common beginning of different lengths, and a last one alone."""
    made, generator = [], torch.Generator().manual_seed(seed)
    for size in (20, 40, 33):
        begun = torch.randint(5, 200, (size,), generator=generator).tolist()
        for rest in (3, 11):
            made.append(begun + torch.randint(5, 200, (rest,), generator=generator).tolist())
    return [*made, made[0][:9]]


@pytest.mark.parametrize("share", [True, False])
def test_the_log_probabilities_are_those_of_each_prompt_alone(policy: Policy, share: bool) -> None:
    continuations = [[7], [9, 12], [9, 13, 14]]
    found = continuation_logprobs(policy.model, prompts(1)[:6], continuations, pad_id=0, share=share)
    rows = [(prompt, one) for prompt in prompts(1)[:6] for one in continuations]
    alone = completion_logprobs(policy.model, rows, pad_id=0, batch_size=1)
    assert [value for row in found for value in row] == pytest.approx(alone, abs=1e-4)


def test_an_odd_number_of_prompts_keeps_its_order(policy: Policy) -> None:
    found = continuation_logprobs(policy.model, prompts(2), [[7]], pad_id=0)
    alone = completion_logprobs(policy.model, [(prompt, [7]) for prompt in prompts(2)], pad_id=0, batch_size=1)
    assert [row[0] for row in found] == pytest.approx(alone, abs=1e-4)


def test_the_common_beginning_is_computed_once(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int] = []
    forward = policy.model.forward

    def counting(*arguments: object, **named: torch.Tensor) -> object:
        fed.append(named["input_ids"].numel())
        return forward(*arguments, **named)

    pair = [[*range(10, 110), 5], [*range(10, 110), 6]]
    continuation_logprobs(policy.model, pair, [[7]], pad_id=0, share=False)
    monkeypatch.setattr(policy.model, "forward", counting)
    continuation_logprobs(policy.model, pair, [[7]], pad_id=0, share=True)
    assert can_share(policy.model) and sum(fed) == 100 + 2


def test_the_spellings_of_a_verdict_do_not_overlap(policy: Policy) -> None:
    made = spellings(policy.tokenizer, ["A", "B", "tie"])
    texts = [text for text, _ in made]
    assert sorted(texts) == sorted([" A", " B", " TIE", " a", " b", " tie", "A", "B", "TIE", "a", "b", "tie"])
    assert not any(b[: len(a)] == a for _, a in made for _, b in made if a is not b)


def test_names_of_which_one_begins_the_other_are_refused(policy: Policy) -> None:
    with pytest.raises(ValueError, match="use other names"):
        spellings(policy.tokenizer, ["A", "AB"])


def test_a_local_judge_reads_the_probability_of_every_spelling(roomy_model_dir: Path, tmp_path: Path) -> None:
    judge = LocalJudge(str(roomy_model_dir), SHORT, device="cpu")
    replies: list[Reply] = []
    ask = Ask(Comparison(ASKED, "one", "two"), "f" * 16)
    judge.ask([ask], on_reply=lambda _, reply: replies.append(reply), should_stop=lambda: False)
    ids = judge._prompt_ids(judge._messages(ask))
    with torch.no_grad():
        logits = judge.policy.model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    letter = judge.policy.tokenizer("A", add_special_tokens=False)["input_ids"][0]
    assert replies[0].logprobs is not None
    assert dict(replies[0].logprobs)["A"] == pytest.approx(float(logits[letter]), abs=1e-4)
    assert judge.read(replies[0]).said is Said.invalid  # a random model puts no weight on any verdict
    assert judge.read(replies[0]).mass == pytest.approx(0.05, abs=0.05)


def test_a_local_judge_asks_nothing_twice_and_is_not_even_loaded(roomy_model_dir: Path, tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "c.sqlite")
    comparisons = [Comparison(ASKED, f"text {n}", "other") for n in range(3)]
    first = Asking(cache).readings(LocalJudge(str(roomy_model_dir), SHORT, device="cpu"), comparisons)
    again = LocalJudge(str(roomy_model_dir), SHORT, device="cpu")
    assert Asking(cache).readings(again, comparisons) == first
    assert "policy" not in vars(again)


def test_a_comparison_that_does_not_fit_fails_by_itself(roomy_model_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(roomy_model_dir, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 620}))
    judge = LocalJudge(str(folder), replace(SHORT, longest_text=2_000), device="cpu")
    texts = [Comparison(ASKED, "a" * 1_500, "b"), Comparison(ASKED, "a", "b")]
    found = Asking(ReplyCache(tmp_path / "c.sqlite")).readings(judge, texts)
    assert "Lower longest_text" in found[0].reading.note and found[0].keys == () and found[1].keys


def test_written_reasons_are_kept_and_their_mark_is_the_verdict(
    roomy_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate(policy: Policy, conversations: list[Any], **settings: Any) -> list[Generated]:
        assert settings["sampling"].temperature == 0
        return [Generated("B is right.\n[[B]]", (5, 6), "stop", -1.0, 2) for _ in conversations]

    monkeypatch.setattr("trainer.evaluation.judges.local.generate", generate)
    judge = LocalJudge(str(roomy_model_dir), SHORT, way="reasons", device="cpu")
    asking = Asking(ReplyCache(tmp_path / "c.sqlite"))
    found = asking.readings(judge, [Comparison(ASKED, "a", "b")])[0]
    assert (found.reading.said, found.text) == (Said.second, "B is right.\n[[B]]")
    assert asking.tally.spent.output_tokens == 2


def test_another_rubric_is_another_call(roomy_model_dir: Path) -> None:
    ask = Ask(Comparison(ASKED, "a", "b"))
    one, two = LocalJudge(str(roomy_model_dir), SHORT), LocalJudge(str(roomy_model_dir), read_rubric("helpful"))
    assert one.request(ask) != two.request(ask) and one.revision == two.revision


def test_a_reward_models_scores_become_a_probability() -> None:
    judge = RewardModelJudge(Path("any"))
    assert judge.read(Reply(scores=(1.0, 0.0))).score == pytest.approx(0.7311, abs=1e-4)
    assert judge.read(Reply(scores=(0.0, 900.0))).score == 0.0
    assert judge.read(Reply(scores=(2.0, 2.0))).said is Said.tie
    assert judge.read(Reply(scores=(float("nan"), 2.0))).said is Said.invalid


class FakeReading:
    """What trainer/starter/judge/reading.py gives, without a model."""

    def prompt_ids(self, given: tuple[object, str, str]) -> list[int]:
        if len(given[1]) > 1_000:
            raise ValueError("two completions of 9999 tokens do not fit into 383: shorten them.")
        return [1, 2, 3]

    def read(self, given: list[tuple[object, str, str]]) -> list[object]:
        from trainer.starter.judge.reading import Reading

        return [Reading((-0.1, -3.0, -3.0), 0.8) for _ in given]


def test_the_starters_judge_keeps_its_mass_and_its_verdict(tmp_path: Path) -> None:
    judge = StarterJudge(tmp_path)
    judge.__dict__ |= {"judge": FakeReading(), "revision": "r"}
    found = Asking(ReplyCache(tmp_path / "c.sqlite")).readings(
        judge, [Comparison(ASKED, "a", "b"), Comparison(ASKED, "a" * 2_000, "b")]
    )
    assert found[0].reading.said is Said.first and found[0].reading.mass == pytest.approx(0.8, abs=0.01)
    assert "do not fit" in found[1].reading.note


def test_a_folder_of_the_starters_judge_is_known_by_its_record(tmp_path: Path) -> None:
    assert not is_starter_judge(tmp_path)
    (tmp_path / "build.json").write_text('{"recipe": "chat"}')
    assert not is_starter_judge(tmp_path)
    (tmp_path / "build.json").write_text('{"recipe": "judge"}')
    assert is_starter_judge(tmp_path)


def test_a_reward_model_scores_both_texts_and_one_call_stands_for_both_orders(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForSequenceClassification

    from trainer.policy import load_tokenizer, save_checkpoint

    torch.manual_seed(1)
    config = LlamaConfig.from_pretrained(tiny_model_dir, num_labels=1)
    tokenizer = load_tokenizer(tiny_model_dir)
    save_checkpoint(
        tmp_path / "rm", model=LlamaForSequenceClassification(config), tokenizer=tokenizer, kind="reward_model"
    )
    judge = RewardModelJudge(tmp_path / "rm", device="cpu")
    one = Comparison(ASKED, "one text", "another")
    found = Asking(ReplyCache(tmp_path / "c.sqlite")).readings(judge, [one, one.changed()])
    assert found[0].reading.score is not None and found[1].reading.score is not None
    assert found[0].reading.score + found[1].reading.score == pytest.approx(1.0, abs=1e-4)
    assert not judge.sees_order
