"""The page takes files that were uploaded to it, and no others.

A file comes to a handler as a path that the browser names. Gradio holds it against its upload folder only where it was
started by launch(); mounted in another app, as here, it would read every file of the machine that a request names, and
fetch every address. Leaves out how large an upload may be (app/bodies.py).
"""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder


class UploadsOnly(gr.Blocks):
    """Blocks whose handlers are given no other file, whichever component a request puts it into."""

    async def preprocess_data(self, block_fn: Any, inputs: Any, state: Any, explicit_call: bool = False) -> Any:
        """As Gradio's, for which `inputs` is what the browser sent. Raises gr.Error."""
        for path in named_files(inputs):
            if not _uploaded(path):
                raise gr.Error("That file was not uploaded here. Drop it on the page again.")
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)


def named_files(sent: Any) -> list[str]:
    """Every path that Gradio would take for a file, however deep it lies in what was sent."""
    found, level = [], [sent]
    while level:
        one = level.pop()
        if isinstance(one, dict):
            if "path" in one and "meta" in one:
                found.append(str(one["path"]))
            level += one.values()
        elif isinstance(one, list | tuple):
            level += one
    return found


def _uploaded(path: str) -> bool:
    try:
        return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError):  # a name that no file can have
        return False
