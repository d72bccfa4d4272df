"""The errors of the library, grouped by what the caller can do about them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "ApiError",
    "AuthenticationError",
    "CanaryFailedError",
    "ConnectionSettingsError",
    "InputFileError",
    "InvalidInputError",
    "JobTimeoutError",
    "LedgerError",
    "LedgerInUseError",
    "LmsArchiveError",
    "NotFoundError",
    "PartialDeletionError",
    "PermissionDeniedError",
    "PlanChangedError",
    "PlatformUnavailableError",
    "RateLimitError",
    "RunStoppedError",
    "StopRequestedError",
    "TooManyAffectedError",
    "UnconfirmedContractError",
    "UnexpectedArchiveError",
    "UnexpectedResponseError",
]


def printable(text: str) -> str:
    """Escape control characters in untrusted text, so that a terminal may show it."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text
    )


def plural(count: int, word: str) -> str:
    """Return a number of things: `1 row`, or `4,048 rows`."""
    return f"{count:,} {word}{'s' * (count != 1)}"


def _rebuild(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    new = OSError.__new__ if issubclass(cls, OSError) else cls.__new__  # Python allows no other
    error = new(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class LmsArchiveError(Exception):
    """The base class of every error that this library raises on purpose.

    Attributes:
        ledger: the ledger of the job, where `apply` or `resume` raised this; else None.
            `resume(error.ledger, client)` continues the job. A note (`__notes__`) then says how
            far the job got, and what to type next.
    """

    ledger: Path | None = None

    if sys.version_info < (3, 11):

        def add_note(self, note: str) -> None:
            """Add a line to the error's text (built into Python 3.11 and later)."""
            # Not in `__notes__`: exceptiongroup would show it there a second time.
            self._notes: list[str] = [*getattr(self, "_notes", ()), note]

    def __str__(self) -> str:
        """Return the text with control characters escaped: the platform may have sent them."""
        lines = super().__str__().split("\n")
        if sys.version_info < (3, 11):  # later versions show the notes in the traceback
            lines += getattr(self, "_notes", ())
        return "\n".join(map(printable, lines))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle every attribute, so that an error from a worker process stays complete."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class InvalidInputError(LmsArchiveError, ValueError):
    """An argument or a file cannot be used; nothing was sent.

    Attributes:
        source: the file or argument at fault, as text, or None.
        line: the line of the file, from 1, or None.
        column: the name of the column or field, or None.
    """

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
        self.source: str | None = source
        self.line: int | None = line
        self.column: str | None = column


class InputFileError(InvalidInputError, OSError):
    """An input file cannot be opened or read; for example, it does not exist.

    Attributes:
        errno: the operating system's number of the error, or None.
        strerror: the operating system's message, or None.
        filename: the file, or None.
    """

    # In place of the slots of `OSError`, so that a pickle holds them.
    errno: int | None = None
    strerror: str | None = None
    filename: str | None = None

    def __init__(self, message: str, *, os_error: OSError | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.filename = self.source
        if os_error is not None:
            self.errno, self.strerror = os_error.errno, os_error.strerror


class ApiError(LmsArchiveError):
    """The platform refused a call, failed, or sent an answer that cannot be used.

    The text begins with method, path, status and the platform's message.

    Attributes:
        method: the HTTP method.
        path: the path, without host and query.
        status: the HTTP status, or None where no answer came or no answer is at fault.
        message: the platform's message, shortened.
        retry_after: seconds that the platform asks to wait, or None.
        in_doubt: True where the call may have taken effect although it failed: a time-out, a
            lost connection, 408, 5xx, a redirect, an unreadable 2xx.
    """

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
        parts = [f"{method} {path}", status, message or (status is None and "no answer")]
        text = ": ".join(str(part) for part in parts if part)
        super().__init__(f"{text} ({advice})" if advice else text)
        self.method: str = method
        self.path: str = path
        self.status: int | None = status
        self.message: str = message
        self.retry_after: float | None = retry_after
        self.in_doubt: bool = in_doubt


class AuthenticationError(ApiError):
    """The login failed, or the token is not accepted: check the credentials."""


class PermissionDeniedError(ApiError):
    """The account may not do this (403). Archiving needs a Superadmin (see the docs)."""


class NotFoundError(ApiError):
    """A course, user, learning plan or background job does not exist, or the call itself (404)."""


class RateLimitError(ApiError):
    """The rate limit was exceeded (429) for longer than the client waits: try again later.

    Other integrations share the limit.
    """


class PlatformUnavailableError(ApiError):
    """The platform was unreachable, timed out or failed (5xx) on every attempt: try again later."""


class ConnectionSettingsError(ApiError):
    """No connection is possible with these settings: check the CA bundle and the proxy.

    Nothing was sent. Waiting does not help.
    """


class UnexpectedResponseError(ApiError):
    """The platform's answer does not match the contract.

    Attributes:
        faults: one text for each fault, beginning with its JSON path.
    """

    def __init__(
        self, method: str, path: str, *, faults: Sequence[str] = (), **details: Any
    ) -> None:
        shown = "; ".join(faults[:10]) + (f"; and {len(faults) - 10} more" if faults[10:] else "")
        super().__init__(method, path, message=details.pop("message", "") or shown, **details)
        self.faults: tuple[str, ...] = tuple(faults)


class PartialDeletionError(ApiError):
    """A call to delete archived records failed after some of them were, or may be, deleted.

    `__cause__` is the error of the call. The attributes hold ids of records, in their order.

    Attributes:
        deleted: records that the platform confirmed as deleted.
        uncertain: records that may be deleted: the answer was lost, or says that the call did
            not succeed. List the archived records to find out.
        remaining: records that were not deleted.
        deletion: a `Deletion` of those that are deleted; `error.deletion.to_csv(path)` lists them.
    """

    def __init__(
        self,
        method: str,
        path: str,
        *,
        deleted: Sequence[int] = (),
        uncertain: Sequence[int] = (),
        remaining: Sequence[int] = (),
        deletion: Any = None,
        **details: Any,
    ) -> None:
        self.deleted: tuple[int, ...] = tuple(deleted)
        self.uncertain: tuple[int, ...] = tuple(uncertain)
        self.remaining: tuple[int, ...] = tuple(remaining)
        self.deletion: Any = deletion
        message = details.pop("message", "")
        parts = [message]
        for ids, text in (
            (self.deleted, "deleted"),
            (self.uncertain, "in doubt (list the archived records to see)"),
            (self.remaining, "not deleted"),
        ):
            if ids:
                others = f" and {len(ids) - 10:,} more" if ids[10:] else ""
                parts.append(f"{len(ids):,} {text}: {', '.join(map(str, ids[:10]))}{others}")
        super().__init__(method, path, message="; ".join(parts), **details)
        self.message = message


class UnconfirmedContractError(LmsArchiveError):
    """The Swagger documents do not confirm a write, or a list that is needed is missing.

    Nothing was sent. The text names the candidates among the platform's operations, each with the
    override to paste; the library never uses a candidate on its own.

    Attributes:
        report: the `ContractReport`.
    """

    def __init__(self, message: str, report: Any) -> None:
        super().__init__(message)
        self.report = report


class TooManyAffectedError(LmsArchiveError):
    """More would be archived, or deleted, than `max_affected` allows; nothing was sent.

    Attributes:
        affected: how many the plan may archive, or how many records would be deleted.
        max_affected: how many were allowed.
    """

    def __init__(self, affected: int, max_affected: int, message: str = "") -> None:
        super().__init__(
            message
            or f"the plan may archive {plural(affected, 'enrollment')}, and "
            f"max_affected is {max_affected:,}; nothing was sent by this call. Look at "
            "print(plan), then raise max_affected or select fewer rows."
        )
        self.affected: int = affected
        self.max_affected: int = max_affected


class LedgerError(LmsArchiveError):
    """The ledger belongs to another plan or platform, is locked, or is damaged."""


class LedgerInUseError(LedgerError):
    """Another process is using the ledger; the text names it. Wait until it ends."""


class JobTimeoutError(LmsArchiveError):
    """A background job did not end in time, or is no longer listed; its effect is not known yet.

    Attributes:
        job_id: the job's hash on the platform.
    """

    def __init__(self, job_id: str, reason: str, *, sent: bool = True) -> None:
        advice = (
            "The rows sent are unknown until resume() has read them back; none was sent again."
            if sent
            else "Nothing was sent: call resume() when that background job has ended."
        )
        super().__init__(f"{reason}. {advice}")
        self.job_id = job_id


class RunStoppedError(LmsArchiveError):
    """The job had to stop; the ledger is intact, and `resume` continues from it.

    Attributes:
        counts: rows done so far, by outcome kind.
        seen: the observations that made the job stop.
    """

    def __init__(
        self, message: str, *, counts: Mapping[str, int] | None = None, seen: Sequence[str] = ()
    ) -> None:
        super().__init__("\n  ".join([message, *seen]))
        self.counts: dict[str, int] = dict(counts or {})
        self.seen: tuple[str, ...] = tuple(seen)


class StopRequestedError(RunStoppedError):
    """The `stop` of `apply` or `resume` was set: nothing more was sent, and nothing waited for."""

    def __init__(self, message: str = "stopped on request", **details: Any) -> None:
        super().__init__(message, **details)


class CanaryFailedError(RunStoppedError):
    """The canary was not archived as requested: nothing more was sent."""


class PlanChangedError(RunStoppedError):
    """A learning plan has changed since planning: its archived records would hold the change."""


class UnexpectedArchiveError(RunStoppedError):
    """Enrollments were archived that this job did not request, perhaps by another client."""
