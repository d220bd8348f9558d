"""The error tree of pgcellar. A class's docstring is its default message.

Every error carries a `code` in SQLSTATE's form: PostgreSQL leaves class `PC` free, so ours begin
with it. The class → HTTP status map stands in `problems`.
"""

from __future__ import annotations

from pgcellar.api import records


class PgcellarError(Exception):
    """Something went wrong in pgcellar."""

    code = "PC000"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        """`message` says what and where; `hint` says what to do."""
        self.message = message or (self.__doc__ or "").strip()
        self.hint = hint
        super().__init__(self.message)

    def record(self, *, cell: str | None = None) -> records.SqlError:
        """This error as the wire record a run ends with."""
        return records.SqlError(sqlstate=self.code, message=self.message, hint=self.hint, cell=cell)


class BadRequest(PgcellarError):
    """The request can't be understood."""

    code = "PC001"


class NotFound(PgcellarError):
    """There is no such thing."""

    code = "PC002"


class ServiceUnavailable(PgcellarError):
    """The pgcellar service can't be reached."""

    code = "PC003"


class PostgresNotFound(PgcellarError):
    """No PostgreSQL server was found."""

    code = "PC004"


class PostgresFailed(PgcellarError):
    """PostgreSQL did not start."""

    code = "PC005"


class SandboxLost(PgcellarError):
    """The sandbox's PostgreSQL ended while the cell ran."""

    code = "PC006"

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, unread: bool = False
    ) -> None:
        """`unread`: surely before the server had read what was sent to it."""
        super().__init__(message, hint=hint)
        self.unread = unread


class SandboxFull(PgcellarError):
    """There is no room left for the sandbox."""

    code = "PC007"


class Unsupported(PgcellarError):
    """This statement can't run in a notebook."""

    code = "PC008"


class Cancelled(PgcellarError):
    """The run was cancelled."""

    code = "57014"


class NotebookInvalid(PgcellarError):
    """The notebook can't be read."""

    code = "PC009"


class FileRefused(PgcellarError):
    """The file can't be read by a notebook."""

    code = "PC010"


class RolesLost(PgcellarError):
    """A role of a state was dropped behind its back."""

    code = "PC011"


class NoPages(PgcellarError):
    """The result can't be given by pages."""

    code = "PC012"


class Unauthenticated(PgcellarError):
    """Nobody is known by these credentials."""

    code = "PC013"


class Forbidden(PgcellarError):
    """This identity may not do that."""

    code = "PC014"


class LimitExceeded(PgcellarError):
    """A limit is reached."""

    code = "PC015"

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, retry_after: float = 0.0
    ) -> None:
        """`retry_after` is in seconds; 0 where waiting does not help."""
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Conflict(PgcellarError):
    """It is not as the request takes it to be."""

    code = "PC016"


class AuditUnavailable(PgcellarError):
    """The audit log can't be written, and nothing is done without it."""

    code = "PC017"


def from_code(code: str, message: str, hint: str | None) -> PgcellarError:
    """The error whose class has this code (as it came over HTTP); PgcellarError if none has."""
    for cls in PgcellarError.__subclasses__():
        if cls.code == code:
            return cls(message, hint=hint)
    return PgcellarError(message, hint=hint)
