"""One write, from the moment before it is sent until its rows are read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import define, evolve, field, frozen

from lms_archive.archive.ledger import Event
from lms_archive.archive.planning.select_all import operation_of
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment
from lms_archive.client import Client

__all__ = ["Accepted", "Replay", "Sending", "is_open", "replay", "write"]


@define(eq=False)
class Sending:
    """Members of one chunk on their way.

    Attributes:
        chunk: what they are members of, in the form in which it was sent.
        sent_at: the platform's time (UTC) right before the call.
        job_id: the background job that does the work, where one was named.
        in_doubt: whether the answer was lost.
        began: when that job was submitted, by the client's clock.
        lost: why the job's end is not known, where it is not.
        timed_out: whether that is because it is open for too long.
    """

    chunk: Chunk
    members: tuple[PlannedEnrollment, ...]
    sent_at: datetime
    job_id: str | None = None
    in_doubt: bool = False
    began: float = 0.0
    lost: str | None = None
    timed_out: bool = False

    @property
    def is_for_all(self) -> bool:
        """Whether the call named nobody, and may have taken others too."""
        return self.chunk.form == "select_all"


@frozen
class Accepted:
    """What a 2xx says: the job that does the work, where one is named, or that all is done."""

    job_id: str | None
    at_once: bool


def write(client: Client, terms: Terms, sending: Sending) -> Accepted:
    """The one write: never repeated unless it surely did not start.

    Raises:
        ApiError: it was refused, or its answer was lost (`in_doubt`).
    """
    contract, target = client.session.settings.contract, sending.chunk.target
    where = {f"{target.kind}_id": target.target_id}
    whom: dict[str, list[str] | list[int]]
    if sending.chunk.form == "select_all":
        name, whom = operation_of(target), {"status": [str(word) for word in terms.only]}
    else:
        name = f"archive_{target.kind}_enrollments"
        whom = {"user_ids": [one.user_id for one in sending.members]}
    reply = client.session.call(
        name,
        **where,
        **whom,
        mode=contract.enrollment_mode[str(terms.mode)],
        reset_tracking=terms.reset_tracking,
    )
    row = contract.operations[name]
    job_id, background = row.find(reply.data, "job_id"), row.find(reply.data, "background")
    named = isinstance(job_id, (str, int)) and bool(job_id)
    return Accepted(str(job_id) if named else None, at_once=background is False)


@define
class Replay:
    """Where a ledger's job stood: sendings without outcome, and what is proven.

    `accepted` are the kinds of targets for which the platform has taken a write. `unasked` are the
    archived records, by id, that nobody asked for; `untold` says so in words where the run that
    found them died before it could.
    """

    sendings: list[Sending] = field(factory=list)
    proven: set[str] = field(factory=set)
    jobs_before: set[str] | None = None
    unasked: set[int] = field(factory=set)
    untold: list[str] = field(factory=list)
    accepted: set[str] = field(factory=set)


def replay(
    events: Iterable[Event], chunks: Mapping[str, Chunk], kinds: Mapping[int, str]
) -> Replay:
    """Read a ledger's states: what was begun and has no outcome is still under way.

    Rows whose outcome is *unknown* count as under way too.
    """
    found = Replay()
    last: dict[str, list[Sending]] = {}
    for event in events:
        if event.chunk is None:
            _replay_job(found, event)
            continue
        sendings = last.setdefault(event.chunk, [])
        if event.state == "sending":
            sendings.append(_begun(chunks[event.chunk], event.data))
        elif event.state == "submitted":
            sendings[-1].job_id, sendings[-1].in_doubt = event.data["job_id"], False
            found.accepted.add(chunks[event.chunk].target.kind)
        elif event.state == "not_sent":
            sendings.pop()
    for sendings in last.values():
        seen: set[int] = set()  # a row sent again belongs to its last sending
        for sending in reversed(sendings):
            sending.members = tuple(
                one for one in sending.members if is_open(kinds, one.row) and one.row not in seen
            )
            seen.update(one.row for one in sending.members)
            if sending.members:
                found.sendings.append(sending)
    return found


def is_open(kinds: Mapping[int, str], row: int) -> bool:
    """Whether a row has no outcome, or one that is not final: an unknown one."""
    return kinds.get(row, "unknown") == "unknown"


def _begun(chunk: Chunk, data: Mapping[str, Any]) -> Sending:
    rows = set(data["rows"])
    members = tuple(one for one in chunk.members if one.row in rows)
    sent_at, sent = datetime.fromisoformat(data["sent_at"]), evolve(chunk, form=data["form"])
    return Sending(chunk=sent, members=members, sent_at=sent_at, in_doubt=True)


def _replay_job(found: Replay, event: Event) -> None:
    if event.state == "proven":
        found.proven.add(event.data["what"])
    elif event.state == "started" and found.jobs_before is None:
        found.jobs_before = set(event.data["jobs_before"])
    elif event.state == "contract_checked":
        found.proven.clear()  # another contract has to be proven anew
    elif event.state == "unexpected":
        found.unasked.update(event.data["records"])
        found.untold.append(event.data["text"])
    elif event.state == "told":
        found.untold.clear()
