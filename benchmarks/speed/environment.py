"""A Python with TRL 1.12, the last release with PPO, beside the packages of this environment.

It is a virtual environment of its own in the user's cache, made on first use: TRL alone is installed there, the rest
(torch, transformers, peft, ...) is found in this environment, which it must come before.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

TRL = "trl==1.12.*"
PLACE = "prefloop-bench-trl-1.12"


def other_python() -> Path:
    """The interpreter of that environment; made where it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / f"{PLACE}-{sys.version_info.major}.{sys.version_info.minor}"
    python, done = folder / "bin" / "python", folder / ".ready"
    ours = sysconfig.get_paths()["purelib"]
    if done.is_file() and done.read_text() == ours:
        return python
    venv.create(folder, with_pip=True, clear=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", TRL], check=True)
    theirs = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"])
    # a .pth file's folder comes after its own: what is installed here goes before what is found there
    (Path(theirs.decode().strip()) / "prefloop.pth").write_text(ours + "\n")
    done.write_text(ours)
    return python
