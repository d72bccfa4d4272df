"""Before and after a run: what is refused beforehand, and what can only be told afterwards."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from attrs import Attribute, field, frozen

from lms_archive.archive.events import OnEvent, bar_class
from lms_archive.archive.ledger import Ledger, counts_in
from lms_archive.archive.planning.estimate import affected
from lms_archive.archive.values.chunks import Chunk
from lms_archive.archive.values.outcomes import AS_ASKED, CODES, Outcome, Skip
from lms_archive.client import Client
from lms_archive.errors import (
    InvalidInputError,
    LedgerError,
    LmsArchiveError,
    RunStoppedError,
    TooManyAffectedError,
)

__all__ = [
    "Options",
    "check_ceiling",
    "check_platform",
    "noting_progress",
    "tell_carried",
]

log: logging.Logger = logging.getLogger(__name__)


def _is_number(_: object, name: Attribute[int], value: object) -> None:
    check_number(name.name, value)


def _is_decision(_: object, name: Attribute[bool], value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name.name} is True or False, not {value!r:.60}")


def _is_listener(_: object, name: Attribute[OnEvent | None], value: object) -> None:
    if value is not None and not callable(value):
        raise InvalidInputError(
            f"{name.name} is a function that takes a RunEvent, not {value!r:.60}"
        )


@frozen(kw_only=True)
class Options:
    """How a job is run: the arguments that `apply` and `resume` share, as `apply` tells them."""

    canary: int = field(default=1, validator=_is_number)
    progress: bool = field(default=False, validator=_is_decision)
    on_event: OnEvent | None = field(default=None, validator=_is_listener)
    trust_contract: bool = field(default=False, validator=_is_decision)
    allow_changes: bool = field(default=False, validator=_is_decision)
    note: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.progress:
            bar_class()  # before anything is sent
        if not isinstance(self.note, (str, type(None))):
            raise InvalidInputError(f"note is a text, not {self.note!r}")


def check_platform(platform: str, client: Client) -> None:
    """Refuse a client of another platform than the plan's."""
    check_client(client)
    if client.base_url != platform:
        raise InvalidInputError(
            f"the plan was read from {platform}, and this client is {client.base_url}'s"
        )


def check_client(client: object) -> None:
    """Refuse what is not a client."""
    if not isinstance(client, Client):
        raise InvalidInputError(f"client must be a Client, not {client!r:.60}")


def check_number(name: str, value: object) -> None:
    """Refuse what is no number of enrollments."""
    if type(value) is not int or value < 0:
        raise InvalidInputError(f"{name} is a whole number of enrollments, not {value!r}")


def check_ceiling(chunks: Sequence[Chunk], max_affected: int | None) -> None:
    """Refuse a plan that may archive more than is allowed."""
    if max_affected is None:
        return
    check_number("max_affected", max_affected)
    count = affected(chunks)
    if count > max_affected:
        raise TooManyAffectedError(count, max_affected)


def _progress(book: Ledger, chunks: Sequence[Chunk]) -> tuple[bool, str]:
    """Return whether a job is finished, and how far it got, of the rows that the plan sends."""
    codes = book.codes()
    kinds = Counter(CODES.get(codes.get(one.row, "")) for chunk in chunks for one in chunk.members)
    total, unknown = sum(kinds.values()), kinds["unknown"]
    done = total - unknown - kinds[None]
    text = f"{done:,} of {total:,} done"
    return done == total, f"{text}, {unknown:,} unknown" if unknown else text


@contextmanager
def noting_progress(
    book: Ledger, chunks: Sequence[Chunk], ledger: str | os.PathLike[str]
) -> Iterator[None]:
    """Note on whatever stops a job how far it got and what to type next.

    The note is the last line of the traceback; it is logged too, and an error of this library
    carries the ledger.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, LmsArchiveError):
            error.ledger = book.path
        with suppress(LedgerError):  # what went wrong first is what is reported
            if isinstance(error, RunStoppedError):
                error.counts = counts_in(book.path)
            _, progress = _progress(book, chunks)
            note = f"{progress}; nothing is lost; resume({os.fspath(ledger)!r}, client)"
            log.warning("stopped: %s", note)
            add_note = getattr(error, "add_note", None)  # every exception's from Python 3.11 on
            if add_note is not None:
                add_note(note)
        raise


def tell_carried(book: Ledger) -> None:
    """Say of each course row that a plan's row was to carry along whether it was.

    A plan's row that is unknown may be archived by a later run, so this can change both ways.
    """
    along = list(book.skips_along())
    if not along:
        return
    rows, codes = book.rows(), book.codes()
    carrying = {row: rows[row] for row in {skip.along or 0 for skip in along}}
    plans = {row: book.outcome(row) for row in carrying}
    changed: list[tuple[int, Outcome]] = []
    for skip in along:
        code, reason = _carried_as(skip, plans[skip.along or 0])
        if codes.get(skip.row) != code:
            outcome = Outcome.of(rows[skip.row], code, reason, user_id=skip.user_id)
            changed.append((skip.row, outcome))
    if changed:
        book.commit(changed)


def _carried_as(skip: Skip, plan: Outcome) -> tuple[str, str]:
    """Return the code and the reason of a course row, by the outcome of the plan's row."""
    course = next((one for one in plan.courses if one.course_id == skip.course_id), None)
    if course is not None and course.record_id is not None:
        return skip.code, skip.reason  # archived along, whatever happened to the plan's row
    if plan.kind == "archived" and (course is None or course.status in AS_ASKED):
        return skip.code, skip.reason
    where = f"line {plan.line}" if plan.line else f"row {(skip.along or 0) + 1}"
    if course is not None and course.status == "missing":
        return "target_missing", (
            "the course is not found any more (404): deleted since the plan was made; whether it "
            f"was carried along by {where} cannot be read"
        )
    return "not_carried", (
        f"not carried along: {where} is {plan.kind} ({plan.reason}); plan this again"
    )
