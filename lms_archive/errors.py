"""What can go wrong, sorted by what the user can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = [
    "ApiError",
    "AuthenticationError",
    "CanaryFailedError",
    "InvalidInputError",
    "JobTimeoutError",
    "LedgerError",
    "LmsArchiveError",
    "NotFoundError",
    "PermissionDeniedError",
    "PlanChangedError",
    "PlatformUnavailableError",
    "RateLimitError",
    "RunStoppedError",
    "TooManyAffectedError",
    "UnconfirmedContractError",
    "UnexpectedArchiveError",
    "UnexpectedResponseError",
]


def printable(text: str) -> str:
    """Text of a stranger, made safe for a terminal: control characters are shown escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text
    )


def _rebuild(
    cls: type[LmsArchiveError], args: tuple[Any, ...], state: dict[str, Any]
) -> LmsArchiveError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class LmsArchiveError(Exception):
    """The root: `except LmsArchiveError` catches everything this library raises on purpose.

    Attributes:
        ledger: where the job stands, when an `apply` or `resume` raised this; else None.
            `resume(error.ledger, client)` goes on from there.
    """

    ledger: Path | None = None

    def __str__(self) -> str:
        """The words, with what a stranger may have put into them made safe for a terminal."""
        return "\n".join(map(printable, super().__str__().split("\n")))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with every attribute: an error raised in a worker process stays readable."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class InvalidInputError(LmsArchiveError, ValueError):
    """What was given cannot be used; nothing was sent.

    Attributes:
        source: the file or argument at fault, as text.
        line: the line of the file, from 1, or None.
        column: the name of the column or field, or None.
    """

    source: str | None
    line: int | None
    column: str | None

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        where = [source] if source else []
        if line is not None:
            where.append(f"line {line}")
        if column is not None:
            where.append(f"column {column!r}")
        super().__init__(f"{', '.join(where)}: {message}" if where else message)
        self.source, self.line, self.column = source, line, column


class ApiError(LmsArchiveError):
    """The platform refused, failed, or could not be understood.

    The text begins with method, path, status and the platform's own words.

    Attributes:
        method: the HTTP method.
        path: the path, without host and query.
        status: the HTTP status, or None where no answer came.
        message: what the platform said, shortened.
        retry_after: seconds the platform asks to wait, or None.
        in_doubt: True where the call may have been carried out although no good answer came:
            a time-out, a cut connection, 408, 5xx, an unreadable 2xx.
    """

    method: str
    path: str
    status: int | None
    message: str
    retry_after: float | None
    in_doubt: bool

    def __init__(
        self,
        method: str,
        path: str,
        *,
        status: int | None = None,
        message: str = "",
        advice: str = "",
        retry_after: float | None = None,
        in_doubt: bool = False,
    ) -> None:
        head = f"{method} {path}: {status if status is not None else 'no answer'}"
        text = f"{head}: {message}" if message else head
        super().__init__(f"{text} ({advice})" if advice else text)
        self.method, self.path, self.status, self.message = method, path, status, message
        self.retry_after, self.in_doubt = retry_after, in_doubt


class AuthenticationError(ApiError):
    """The login failed or the token is not accepted: look at the credentials."""


class PermissionDeniedError(ApiError):
    """403: the account may not do this. Archiving needs a Superadmin (see the docs)."""


class NotFoundError(ApiError):
    """404: no such course, user or job, or no such call on this platform."""


class RateLimitError(ApiError):
    """429 for longer than we wait: other integrations share the limit; try again later."""


class PlatformUnavailableError(ApiError):
    """No connection, a time-out, or 5xx after every try: try again later."""


class UnexpectedResponseError(ApiError):
    """The platform answered something that is not what its contract says.

    Attributes:
        faults: one text for each fault, beginning with its JSON path.
    """

    faults: tuple[str, ...]

    def __init__(self, method: str, path: str, *, faults: Sequence[str] = (), **more: Any) -> None:
        shown = "; ".join(faults[:10]) + (f"; and {len(faults) - 10} more" if faults[10:] else "")
        super().__init__(method, path, message=more.pop("message", "") or shown, **more)
        self.faults = tuple(faults)


class UnconfirmedContractError(LmsArchiveError):
    """The platform's own swagger does not confirm a call that would change something.

    Nothing was sent. The text names the nearest operations that the platform has, each with the
    override to paste; none of them is ever used by itself.

    Attributes:
        report: the `ContractReport`.
    """

    report: Any

    def __init__(self, words: str, report: Any) -> None:
        super().__init__(words)
        self.report = report


class TooManyAffectedError(LmsArchiveError):
    """The plan would archive more enrollments than `max_affected` allows; nothing was sent.

    Attributes:
        affected: how many the plan may archive.
        max_affected: how many were allowed.
    """

    affected: int
    max_affected: int

    def __init__(self, affected: int, max_affected: int) -> None:
        super().__init__(
            f"the plan may archive {affected:,} enrollments and max_affected is {max_affected:,}; "
            "nothing was sent by this call. Look at print(plan), then raise max_affected or "
            "select fewer."
        )
        self.affected, self.max_affected = affected, max_affected


class LedgerError(LmsArchiveError):
    """The ledger cannot be used: another plan's, another platform's, locked, or damaged."""


class JobTimeoutError(LmsArchiveError):
    """A background job did not end in time, or left the list; what it did is not known yet.

    Attributes:
        job_id: the job's hash on the platform.
    """

    job_id: str

    def __init__(self, job_id: str, why: str) -> None:
        super().__init__(
            f"{why}. Its rows are unknown until resume() has read them back; nothing of it was "
            "sent again."
        )
        self.job_id = job_id


class RunStoppedError(LmsArchiveError):
    """The job had to stop; the ledger is whole and `resume` goes on from it.

    Attributes:
        counts: rows settled so far, by outcome kind.
        seen: what was seen that made the job stop.
    """

    counts: dict[str, int]
    seen: tuple[str, ...]

    def __init__(
        self, message: str, *, counts: Mapping[str, int] | None = None, seen: Sequence[str] = ()
    ) -> None:
        super().__init__("\n  ".join([message, *seen]))
        self.counts, self.seen = dict(counts or {}), tuple(seen)


class CanaryFailedError(RunStoppedError):
    """The first enrollment, sent alone, did not come out as asked: nothing else was sent."""


class PlanChangedError(RunStoppedError):
    """A learning plan is not as it was planned any more: its records would hold the change."""


class UnexpectedArchiveError(RunStoppedError):
    """More was archived than asked for: someone else, or the platform, archives too."""
