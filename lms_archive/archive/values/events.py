"""The events of a run: what the ledger holds, and the only reasons for which a run changes.

An event is written to the ledger first and applied to the state of the run afterwards, so the
ledger's events, applied in order, give the state of an interrupted run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from attrs import field, frozen

from lms_archive.archive.selection import Form
from lms_archive.archive.values.outcomes import Outcome


@frozen
class Event:
    """Something that happened to a job, or to a chunk of it."""


@frozen
class ContractChecked(Event):
    """The platform confirmed the calls of the job, or the user trusted those in `trusted`."""

    contract: str
    trusted: tuple[str, ...] = ()


@frozen
class RunStarted(Event):
    """The first run of the job began.

    `jobs_before` are the background jobs that were open already, `canary` is how many enrollments
    are sent alone first.
    """

    jobs_before: tuple[str, ...] = ()
    canary: int = 0


@frozen
class Resumed(Event):
    """A later run began: whatever was sent and has no final outcome is in flight again."""

    canary: int = 0


@frozen
class Sending(Event):
    """A call is about to be made for these rows; `sent_at` is the platform's time (UTC)."""

    chunk_id: str
    rows: tuple[int, ...]
    sent_at: datetime
    form: Form = "hand_picked"


@frozen
class Submitted(Event):
    """The platform accepted the call, and may have named the background job that does the work."""

    chunk_id: str
    job_id: str | None = None


@frozen
class NotSent(Event):
    """The call surely did nothing and the run stops: the rows are still to be sent."""

    chunk_id: str
    reason: str


@frozen
class Refused(Event):
    """The platform refused the call: unless `NotSent` follows, its rows are only read back."""

    chunk_id: str
    reason: str
    status: int | None = None

    def __str__(self) -> str:
        return f"refused: {self.reason}"


@frozen
class JobGone(Event):
    """The job of an earlier run is not listed any more: as good as a lost answer."""

    chunk_id: str
    job_id: str


@frozen
class JobEnded(Event):
    """Nothing of a call is running any more; or its end is not known, because of `problem`."""

    chunk_id: str
    job_id: str | None = None
    problem: str | None = None


@frozen
class HandPicked(Event):
    """What is left of a select-all chunk is sent by user."""

    chunk_id: str


@frozen
class Proven(Event):
    """The canary, or the first chunk, was archived as requested."""

    stage: Literal["canary", "first_chunk"]


@frozen
class UnexpectedRecords(Event):
    """Archived records that nobody requested, by id; `text` names them."""

    text: str
    records: tuple[int, ...] = ()


@frozen
class Reported(Event):
    """The unexpected records were reported by an error: no later run reports them again."""


@frozen
class CallsMade(Event):
    """The calls of one run, by operation."""

    calls: Mapping[str, int]


@frozen
class Noted(Event):
    """The note that `apply` or `resume` was given."""

    text: str


@frozen
class Warned(Event):
    """Something that the user should know of."""

    text: str


@frozen(kw_only=True)
class OutcomeEvent(Event):
    """An event that gives rows their outcomes.

    Attributes:
        chunk_id: the chunk that the rows are in, or None.
        outcomes: the outcomes by row. They are written with the event, and not read again when
            a run is resumed.
        codes: the code of each of these outcomes, by row.
    """

    chunk_id: str | None = None
    outcomes: tuple[tuple[int, Outcome], ...] = field(default=(), eq=False, repr=False)
    codes: Mapping[int, str] = field()

    @codes.default
    def _codes(self) -> Mapping[int, str]:
        return {row: outcome.code for row, outcome in self.outcomes}


@frozen(kw_only=True)
class ReadBack(OutcomeEvent):
    """What was sent of a chunk was read back. Rows without an outcome may be sent again."""


@frozen(kw_only=True)
class Decided(OutcomeEvent):
    """Rows have outcomes for another reason: they changed, or their target cannot be read.

    Without a chunk, the rows are in none: a learning plan archives them as well.
    """


EVENT_TYPES: Final[Mapping[str, type[Event]]] = {
    "contract_checked": ContractChecked,
    "started": RunStarted,
    "resumed": Resumed,
    "sending": Sending,
    "submitted": Submitted,
    "not_sent": NotSent,
    "job_gone": JobGone,
    "job_ended": JobEnded,
    "hand_picked": HandPicked,
    "proven": Proven,
    "unexpected": UnexpectedRecords,
    "reported": Reported,
    "calls": CallsMade,
    "note": Noted,
    "warning": Warned,
    "read_back": ReadBack,
    "refused": Refused,
    "decided": Decided,
}
"""The type of each event in the ledger."""

_NAMES: Final = {cls: name for name, cls in EVENT_TYPES.items()}


def type_of(event: Event) -> str:
    """Return the type of an event, as the ledger has it."""
    return _NAMES[type(event)]
