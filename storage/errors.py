"""The error tree. Every error a person can meet says what was wrong, with the value, and what to do.

    PrefLoopError
    ├── NotFound        the thing named does not exist
    ├── Invalid         what was given cannot be used
    ├── Conflict        it exists already with other content, or its state forbids this
    ├── Refused         not allowed (token, host, origin, settings)
    └── Unavailable     not now; try again (model loading, queue cold)

Rendering (HTTP status, toast) is in app/errors.py.
"""


class PrefLoopError(Exception):
    """An expected failure. `code` is for programs, `message` says what happened, `hint` what to do."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class NotFound(PrefLoopError):
    code = "not_found"


class Invalid(PrefLoopError):
    code = "invalid"


class Conflict(PrefLoopError):
    code = "conflict"


class Refused(PrefLoopError):
    code = "refused"


class Unavailable(PrefLoopError):
    code = "unavailable"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None, retry_after_s: int = 5) -> None:
        super().__init__(message, hint=hint, code=code)
        self.retry_after_s = retry_after_s
