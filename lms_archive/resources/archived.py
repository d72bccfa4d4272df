"""Archived enrollments: what left the active list, and can never come back (article)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, overload

from lms_archive.errors import InvalidInputError, NotFoundError, UnexpectedResponseError
from lms_archive.files import whole_file
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.resources.listing import Listing
from lms_archive.wire.calls import Wire
from lms_archive.wire.download import download
from lms_archive.wire.pages import Page, of_target, pages
from lms_archive.wire.verify import verify

__all__ = ["Archived", "certificate_of"]

_AT_ONCE = 200


class Archived:
    """`client.archived`: what has been archived.

    The lists take the filters of the screen (article), as far as the platform has them; a wrong
    filter seems to be ignored, not refused (inferred): check what comes.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def in_course(
        self,
        course_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        archived_from: datetime | None = None,
        archived_to: datetime | None = None,
        archived_by: Iterable[int] | None = None,
        user_status: str | None = None,
    ) -> Listing[ArchivedCourseEnrollment]:
        """The archived enrollments of a course, page by page.

        Calls `GET /course/v1/courses/{course_id}/enrollments/archived` (assumed; the filters
        exist on the screen: article).

        Args:
            course_id: the course.
            user_ids: only these users; at most 200 go well into one call.
            archived_from: not before this aware time.
            archived_to: not after this aware time.
            archived_by: only what these users archived, by id.
            user_status: only users in this state: `"1"` active, `"0"` suspended (assumed).

        Raises:
            InvalidInputError: a time without a zone, or a period that ends before it begins.
            NotFoundError: there is no such course, or the platform has no such list.
            ApiError: a call failed.
        """
        given = _checked(
            user_ids=user_ids,
            archived_from=archived_from,
            archived_to=archived_to,
            archived_by=archived_by,
            user_status=user_status,
        )
        return Listing(ArchivedCourseEnrollment, lambda: self.pages_in_course(course_id, **given))

    def in_learning_plan(
        self,
        learning_plan_id: int,
        *,
        user_ids: Iterable[int] | None = None,
        archived_from: datetime | None = None,
        archived_to: datetime | None = None,
        archived_by: Iterable[int] | None = None,
        user_status: str | None = None,
    ) -> Listing[ArchivedLearningPlanEnrollment]:
        """The archived enrollments of a learning plan, page by page.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived`
        (assumed; that an API exists: article). Arguments and errors are those of `in_course`.
        """
        given = _checked(
            user_ids=user_ids,
            archived_from=archived_from,
            archived_to=archived_to,
            archived_by=archived_by,
            user_status=user_status,
        )
        return Listing(
            ArchivedLearningPlanEnrollment,
            lambda: self.pages_in_learning_plan(learning_plan_id, **given),
        )

    @overload
    def get(self, record_id: int, *, course_id: int) -> ArchivedCourseEnrollment: ...
    @overload
    def get(self, record_id: int, *, learning_plan_id: int) -> ArchivedLearningPlanEnrollment: ...
    def get(
        self, record_id: int, *, course_id: int | None = None, learning_plan_id: int | None = None
    ) -> ArchivedRecord:
        """The archived record of that id in a course or a learning plan.

        No call for one record is known, so the target's list is read until it is found. Calls
        `GET /course/v1/courses/{course_id}/enrollments/archived` or
        `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived` (assumed).

        Raises:
            InvalidInputError: neither a course nor a learning plan is given, or both.
            NotFoundError: the target has no such record.
        """
        records: Iterable[ArchivedRecord]
        if course_id is not None and learning_plan_id is None:
            records = self.in_course(course_id)
        elif learning_plan_id is not None and course_id is None:
            records = self.in_learning_plan(learning_plan_id)
        else:
            raise InvalidInputError("say where: course_id= or learning_plan_id=")
        for record in records:
            if record.archiving.record_id == record_id:
                return record
        raise NotFoundError(
            "GET", "archived enrollments", message=f"there is no record {record_id}"
        )

    def download_certificate(self, record: ArchivedRecord, path: str | os.PathLike[str]) -> Path:
        """Save the certificate that was present when the enrollment was archived (article).

        Calls `GET` on the link in the record (that there is one: article), which must lead to
        the platform itself. The file is its owner's alone, and only there when all of it is.

        Raises:
            InvalidInputError: the record has no certificate.
            UnexpectedResponseError: the link leads elsewhere, or to something that is no PDF.
            NotFoundError: there is nothing behind the link.
            ApiError: the call failed.
        """
        link = certificate_of(record)
        if link is None:
            raise InvalidInputError(f"record {record.archiving.record_id} has no certificate")
        content = download(self._wire, link, "certificate")
        if not content.startswith(b"%PDF-"):
            raise UnexpectedResponseError("GET", link[:200], status=200, faults=["no PDF"])
        with whole_file(path, binary=True) as file:
            file.write(content)
        return Path(path)

    def delete(self, records: Iterable[ArchivedRecord]) -> None:
        """Delete archived records, for ever: no way back is known.

        Calls `DELETE /course/v1/courses/{course_id}/enrollments/archived` or
        `DELETE /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived` (assumed;
        that deletion exists: article), 200 records a call. Only records in hand are deleted, and
        only where the platform's own swagger confirms the call. No job does this.

        A record does not say which platform it is of: delete with the client that read it.

        Raises:
            InvalidInputError: something is no archived record.
            UnconfirmedContractError: the platform does not confirm the call; nothing was deleted.
            PermissionDeniedError: Power Users cannot delete archived enrollments (article).
            ApiError: a call failed; `in_doubt` says whether it may have worked all the same.
        """
        by_target: dict[tuple[str, int], list[int]] = {}
        for record in records:
            if isinstance(record, ArchivedCourseEnrollment):
                key = ("course", record.course.course_id)
            elif isinstance(record, ArchivedLearningPlanEnrollment):
                key = ("learning_plan", record.learning_plan.learning_plan_id)
            else:
                raise InvalidInputError(f"wanted archived records, not {record!r:.60}")
            by_target.setdefault(key, []).append(record.archiving.record_id)
        names = sorted({f"delete_archived_{kind}_enrollments" for kind, _ in by_target})
        verify(self._wire, names).require(*names)
        for (kind, target_id), ids in by_target.items():
            where = {f"{kind}_id": target_id}
            for start in range(0, len(ids), _AT_ONCE):
                part = ids[start : start + _AT_ONCE]
                name = f"delete_archived_{kind}_enrollments"
                self._wire.call(name, record_ids=part, **where)

    def pages_in_course(
        self, course_id: int, **filters: Any
    ) -> Iterator[Page[ArchivedCourseEnrollment]]:
        """The same, a page at a time, with what the platform says of the whole."""
        given = {"course_id": course_id, **_checked(**filters)}
        found = pages(self._wire, "archived_course_enrollments", ArchivedCourseEnrollment, **given)
        return of_target(found, course_id, attrgetter("course.course_id"))

    def pages_in_learning_plan(
        self, learning_plan_id: int, **filters: Any
    ) -> Iterator[Page[ArchivedLearningPlanEnrollment]]:
        """The same, a page at a time, with what the platform says of the whole."""
        given = {"learning_plan_id": learning_plan_id, **_checked(**filters)}
        found = pages(
            self._wire,
            "archived_learning_plan_enrollments",
            ArchivedLearningPlanEnrollment,
            **given,
        )
        return of_target(found, learning_plan_id, attrgetter("learning_plan.learning_plan_id"))


def certificate_of(record: ArchivedRecord) -> str | None:
    """The link to the certificate of an archived record, where it has one."""
    if isinstance(record, ArchivedCourseEnrollment):
        return record.course.certificate_url or None
    return record.learning_plan.certificate_url or None


def _checked(**filters: Any) -> dict[str, Any]:
    times = [(name, filters.get(name)) for name in ("archived_from", "archived_to")]
    for name, moment in times:
        if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
            raise InvalidInputError(f"{name} needs a time zone, such as timezone.utc: {moment}")
    (_, begin), (_, end) = times
    if begin is not None and end is not None and begin > end:
        raise InvalidInputError(f"archived_from {begin} lies after archived_to {end}")
    lists = ("user_ids", "archived_by")
    return {
        name: list(value) if name in lists and value is not None else value
        for name, value in filters.items()
    }
