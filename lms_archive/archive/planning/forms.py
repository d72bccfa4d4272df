"""The two forms of a write: name each user, or archive all enrollments of a target in one call.

The select-all form takes up to 10,000 enrollments on the screen (article); for the API that is
assumed. Its filter might be ignored, so it is only used where the selection is every active
enrollment of the target: then an ignored filter can change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import Final

from attrs import frozen

from lms_archive.archive.selection import Form
from lms_archive.archive.selection.terms import Terms
from lms_archive.archive.target.lists import TargetLists
from lms_archive.archive.values.chunks import Chunk, PlannedEnrollment, PlannedTarget
from lms_archive.client import Client
from lms_archive.limits import Limits
from lms_archive.records.status import ArchiveMode

__all__ = [
    "FORMS",
    "PLAN_CHECK_INTERVAL",
    "SELECT_ALL",
    "HandPickedForm",
    "ReadBackPattern",
    "SelectAllForm",
]

PLAN_CHECK_INTERVAL: Final = 60.0
"""Seconds between two checks of a learning plan while its chunks are sent."""


@frozen
class ReadBackPattern:
    """How a target is read back.

    Attributes:
        first: whether it is the first target, of which the canary and the first chunk are read
            back on their own.
        second: whether its first chunk is that of the job, because the canary was all that the
            first target had.
        history: the number of its archived enrollments where the platform ignores the filter of
            users, so that each reading reads the whole lists; otherwise None.
        alone: whether the active list is read for this target alone.
    """

    first: bool
    second: bool = False
    history: int | None = None
    alone: bool = True


@frozen
class HandPickedForm:
    """A call that names each user, up to `Limits.hand_picked` of them."""

    name: Form = "hand_picked"

    def operation(self, kind: str) -> str:
        """Return the contract's row of the call, for targets of this kind."""
        return f"archive_{kind}_enrollments"

    def chunk_size(self, members: int, limits: Limits) -> int:  # noqa: ARG002  as the other form
        """Return how many of the members of a target go into one chunk."""
        return limits.hand_picked

    def count(
        self, part: Sequence[Chunk], terms: Terms, limits: Limits, pattern: ReadBackPattern
    ) -> Counter[str]:
        """Count the calls of one target."""
        calls: Counter[str] = Counter()
        target, size, first_chunk = part[0].target, limits.page_size, len(part[0])
        again = terms.mode is ArchiveMode.RE_ENROLL
        alone = [first_chunk] if pattern.second else []
        if pattern.first:
            alone = [1, first_chunk - 1] if first_chunk > 1 else [1]
        sent = [*(alone or [first_chunk]), *(len(chunk) for chunk in part[1:])]
        readings, done = [*alone, sum(sent) - sum(alone)], 0

        def pages(users: int, listed: int) -> int:
            """Count the pages of these users, or of the whole list where the filter is ignored."""
            return ceil(users / size) if pattern.history is None else max(ceil(listed / size), 1)

        for number in filter(None, readings):
            done += number
            calls[f"archived_{target.kind}_enrollments"] += pages(
                number, (pattern.history or 0) + done
            )
            stay = target.listed if again else max(target.listed - done, 1)
            # Who re-enrolls is read by user; who leaves, or who is left, whichever is less.
            whole = pages(number, stay) if again else ceil(stay / size)
            calls[f"{target.kind}_enrollments"] += pattern.alone and min(pages(number, stay), whole)
        calls[f"archive_{target.kind}_enrollments"] += len(sent)
        if again:
            calls[f"{target.kind}_enrollments"] += sum(
                pages(number, target.listed) for number in sent
            )
        if target.kind == "learning_plan":
            _count_plan(calls, sum(ceil(number / size) for number in readings), part, limits)
        return calls


@frozen
class SelectAllForm:
    """A call that archives all enrollments, up to `Limits.select_all`; it is repeated for more."""

    name: Form = "select_all"

    def operation(self, kind: str) -> str:
        """Return the contract's row of the call, for targets of this kind."""
        return f"archive_{kind}_enrollments_select_all"

    def chunk_size(self, members: int, limits: Limits) -> int:  # noqa: ARG002  as the other form
        """Return how many of the members of a target go into one chunk: all of them."""
        return max(members, 1)

    def rounds(self, members: int, limits: Limits) -> int:
        """Return how many calls take all of these members."""
        return ceil(members / limits.select_all)

    def refusal(
        self,
        client: Client,
        target: PlannedTarget,
        members: Sequence[PlannedEnrollment],
        terms: Terms,
    ) -> str | None:
        """Return why the form is not used in a target, or None where it is.

        Reads a page of the target's list, and the platform's swagger.
        """
        name = self.operation(target.kind)
        if terms.mode is ArchiveMode.RE_ENROLL:
            return "a select-all call would archive again users who were just re-enrolled"
        if not client.verify_contract([name]).confirmed(name, str(terms.mode)):
            return "the platform's swagger does not confirm that call"
        if TargetLists(client, target).total() != len(members):
            return "it holds other enrollments too, which an ignored filter would archive"
        return None

    def count(
        self,
        part: Sequence[Chunk],
        terms: Terms,  # noqa: ARG002  never in re-enroll
        limits: Limits,
        pattern: ReadBackPattern,
    ) -> Counter[str]:
        """Count the calls of one target, round after round."""
        (chunk,), calls, size = part, Counter[str](), limits.page_size
        kind = chunk.target.kind
        calls[f"archive_{kind}_enrollments"] += pattern.first
        records = readings = active = int(pattern.first)
        left, new = len(chunk) - pattern.first, int(pattern.first)
        while left > 1:
            calls[self.operation(kind)] += 1
            after = max(left - limits.select_all, 0)
            # Before each round all that is active is read, to see that it is what was planned.
            active += ceil(left / size) + min(ceil(left / size), ceil(max(after, 1) / size))
            # After it, all that is new is read, to see that nobody else was taken; where more
            # rounds follow, who is left is read by user, and all is looked at once more.
            new += left - after
            records += ceil(new / size)
            records += ceil(after / size) + (ceil(new / size) if after else 0)
            readings += ceil(left / size)
            left, new = after, 0
        if left == 1:  # is sent by name
            calls[f"archive_{kind}_enrollments"] += 1
            records, readings, active = records + 1, readings + 1, active + 1
        calls[f"archived_{kind}_enrollments"] += records
        calls[f"{kind}_enrollments"] += active
        if kind == "learning_plan":
            _count_plan(calls, readings, [chunk], limits)
        return calls


SELECT_ALL: Final = SelectAllForm()
FORMS: Final[Mapping[Form, HandPickedForm | SelectAllForm]] = MappingProxyType(
    {"hand_picked": HandPickedForm(), "select_all": SELECT_ALL}
)
"""The forms by the name that a chunk keeps."""


def _count_plan(calls: Counter[str], readings: int, part: Sequence[Chunk], limits: Limits) -> None:
    """Count what a learning plan's courses cost, and the checks whether it was changed."""
    for name in ("archived_course_enrollments", "course_enrollments"):
        calls[name] += readings * len(part[0].target.courses)
    checks = 2 + int(len(part) * limits.first_poll // PLAN_CHECK_INTERVAL)
    calls["get_learning_plan"] += checks
    calls["learning_plan_courses"] += checks
