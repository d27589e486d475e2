"""One row's token ids turned into text as they are drawn, in time linear in their number.

What comes out is never taken back: a character of which some bytes are still to come is held, and so is text
that may turn out to be the beginning of a stop string. The stop string itself never comes out. Leaves out:
which tokens end a row (`trainer/decoding.py`).
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

REPLACEMENT = "\ufffd"
LONGEST_PART = 3  # of a UTF-8 character at most three bytes can be there while the last is missing
CONTEXT = 4  # ids decoded again with each new one, as some decoders treat the beginning of a text specially
WINDOW = 16  # ids after which the window shrinks to the context
WINDOW_OF_GARBAGE = 64  # the same where the bytes make no character


class TextStream:
    """Push token ids, get text. `stopped` is true once a stop string has appeared."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._window: list[int] = []
        self._shown = 0  # characters of the window's text that have been let out
        self._held = ""  # complete text that a stop string may begin in

    def push(self, token_id: int) -> str:
        """The text that this token makes certain; empty while it is held."""
        if not self._stop:
            return self._decode_next(token_id)
        self._held += self._decode_next(token_id)
        ends = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if ends:
            self.stopped = True
            return self._let_out(min(ends))
        return self._let_out(len(self._held) - beginning_of_a_stop(self._held, self._stop))

    def finish(self) -> str:
        """The text still held, at the end of the row. A character cut in half there is dropped."""
        return "" if self.stopped else self._let_out(len(self._held))

    def _let_out(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text

    def _decode_next(self, token_id: int) -> str:
        self._window.append(token_id)
        text = self._decode(self._window)
        incomplete = min(len(text) - len(text.rstrip(REPLACEMENT)), LONGEST_PART)
        garbage = len(self._window) > WINDOW_OF_GARBAGE
        certain = len(text) if garbage else len(text) - incomplete
        new = text[self._shown : certain]
        self._shown = max(self._shown, certain)
        if garbage or (not incomplete and len(self._window) > WINDOW):
            self._window = self._window[-CONTEXT:]
            self._shown = len(self._decode(self._window))
        return new

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def beginning_of_a_stop(text: str, stop: Sequence[str]) -> int:
    """How many characters at the end of `text` are the beginning of a stop string, at most."""
    longest = max(len(s) for s in stop) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(s.startswith(text[-length:]) for s in stop):
            return length
    return 0
