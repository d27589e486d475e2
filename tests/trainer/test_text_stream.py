"""Text comes out as it becomes certain, and is never taken back."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from trainer.text_stream import TextStream


@pytest.fixture(scope="module")
def tokenizer(tiny_model_dir: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_model_dir)


def ids_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_character_comes_out_whole_or_not_at_all(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "Grüße 🎉 日本語 e\u0301 👩‍👩‍👧 done."
    stream = TextStream(tokenizer)
    pieces = [stream.push(i) for i in ids_of(tokenizer, text)]
    assert len(pieces) == len(text.encode())
    assert [len(piece) for piece in pieces[2:4]] == [0, 1], "the ü has two bytes and comes with its second"
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) + stream.finish() == text


def test_a_character_cut_in_half_at_the_end_is_dropped(tokenizer: PreTrainedTokenizerBase) -> None:
    stream = TextStream(tokenizer)
    pieces = [stream.push(i) for i in ids_of(tokenizer, "ok🎉")[:-1]]
    assert "".join(pieces) + stream.finish() == "ok"


def test_bytes_that_make_no_character_are_shown_as_such_and_do_not_swallow_the_rest(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    lone = ids_of(tokenizer, "é")[1]  # a continuation byte without its beginning
    stream = TextStream(tokenizer)
    text = "".join(stream.push(i) for i in [lone] * 300 + ids_of(tokenizer, "end"))
    assert text.endswith("\ufffdend")
    assert set(text[:-3]) == {"\ufffd"}


def test_the_work_per_token_does_not_grow_with_the_text(tokenizer: PreTrainedTokenizerBase) -> None:
    decoded: list[int] = []

    class Counting:
        def decode(self, ids: list[int], **options: bool) -> str:
            decoded.append(len(ids))
            return tokenizer.decode(ids, **options)

    stream = TextStream(Counting())  # type: ignore[arg-type]
    for i in ids_of(tokenizer, "It rains in Bergen. 🌧 ") * 100:
        stream.push(i)
    assert max(decoded) <= 24


def test_spaces_between_words_survive_a_decoder_that_strips_the_first_one() -> None:
    words = ["▁a", "▁long", "▁way", "▁home", "▁and", "▁back", "."]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="."))
    raw.decoder = decoders.Metaspace()
    stream = TextStream(PreTrainedTokenizerFast(tokenizer_object=raw))
    ids = [0, 1, 2, 3, 4, 5] * 10 + [6]
    pieces = [stream.push(i) for i in ids]
    assert "".join(pieces) == " ".join(["a long way home and back"] * 10) + "."


def test_nothing_of_a_stop_string_comes_out(tokenizer: PreTrainedTokenizerBase) -> None:
    stream = TextStream(tokenizer, stop=("\nUser:", "END"))
    pieces = [stream.push(i) for i in ids_of(tokenizer, "Yes.\nUser")]
    assert "".join(pieces) == "Yes."
    assert stream.push(ids_of(tokenizer, ":")[0]) == ""
    assert stream.stopped
    assert stream.finish() == ""


def test_text_that_only_looked_like_a_stop_string_comes_out_once_that_is_clear(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    stream = TextStream(tokenizer, stop=("END",))
    assert [stream.push(i) for i in ids_of(tokenizer, "EENE")] == ["", "E", "", "EN"]
    assert stream.finish() == "E"
    assert not stream.stopped
