"""Lines of an imported file, plain or gzip, with their numbers; told apart by their first bytes, not by name.

A file is read twice (once to check it, once to store it), so a stream that cannot be rewound is copied to disk first.
"""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from storage.errors import Invalid, NotFound
from storage.transfer.rows import BadRow

GZIP_MAGIC = b"\x1f\x8b"
MAX_LINE_BYTES = 16 * 2**20
MAX_UNPACKED_BYTES = 4 * 2**30  # of a gzip file: a small one can hold lines without end
MAX_WHOLE_BYTES = 256 * 2**20  # of a file that is one list and cannot be read line by line
_SPOOL_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Line:
    """One line without its end. `end` is "\\n", "\\r\\n", or "" for a last line without one."""

    number: int
    raw: bytes
    end: str

    def text(self) -> str:
        """Raises BadRow where it is too long or not UTF-8."""
        if len(self.raw) > MAX_LINE_BYTES:
            raise BadRow(f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB")
        try:
            return self.raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadRow(f"the line is not UTF-8 (byte {error.start + 1}: 0x{self.raw[error.start]:02x})") from error


@contextmanager
def rewindable(source: str | Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """The file or stream, made rewindable. Raises NotFound for a path that is not a file."""
    if isinstance(source, str | Path):
        if not Path(source).is_file():
            raise NotFound(f"There is no file {str(source)!r}.", hint="Give the path of the file to import.")
        with Path(source).open("rb") as file:
            yield file
    elif source.seekable():
        yield source
    else:
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as copy:
            shutil.copyfileobj(source, copy)
            yield copy


def read_lines(file: IO[bytes]) -> Iterator[Line]:
    """Every line that is not blank, from the beginning. Raises Invalid for a gzip file that is damaged or too large."""
    file.seek(0)
    zipped = file.read(2) == GZIP_MAGIC
    file.seek(0)
    number = 0
    try:
        stream: IO[bytes] = gzip.GzipFile(fileobj=file, mode="rb") if zipped else file  # type: ignore[assignment]
        while whole := stream.readline(MAX_LINE_BYTES + 3):
            number += 1
            if zipped and stream.tell() > MAX_UNPACKED_BYTES:
                raise Invalid(
                    f"The gzip file unpacks to more than {MAX_UNPACKED_BYTES / 2**30:.0f} GiB.",
                    hint="Divide it into several, or unpack it and use prefloop import.",
                )
            if number == 1:
                whole = whole.removeprefix(b"\xef\xbb\xbf")
            _skip_rest(stream, whole)
            end = "\r\n" if whole.endswith(b"\r\n") else "\n" if whole.endswith(b"\n") else ""
            raw = whole[: len(whole) - len(end)]
            if raw.strip():
                yield Line(number, raw, end)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Invalid(
            f"The gzip file is damaged after line {number} ({error}).", hint="Download it again, or unpack it first."
        ) from error


def read_whole(file: IO[bytes]) -> bytes:
    """All of it, unpacked, without a byte-order mark. Raises Invalid when it is too large or a damaged gzip file."""
    file.seek(0)
    zipped = file.read(2) == GZIP_MAGIC
    file.seek(0)
    try:
        whole = (gzip.GzipFile(fileobj=file, mode="rb") if zipped else file).read(MAX_WHOLE_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Invalid(f"The gzip file is damaged ({error}).", hint="Download it again, or unpack it first.") from error
    if len(whole) > MAX_WHOLE_BYTES:
        raise Invalid(f"The file is larger than {MAX_WHOLE_BYTES // 2**20} MiB.", hint="Divide it into several.")
    return whole.removeprefix(b"\xef\xbb\xbf")


def _skip_rest(stream: IO[bytes], whole: bytes) -> None:
    while len(whole) == MAX_LINE_BYTES + 3 and not whole.endswith(b"\n"):
        whole = stream.readline(MAX_LINE_BYTES + 3)
