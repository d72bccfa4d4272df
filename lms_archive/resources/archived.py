"""List and delete archived enrollments, and download their certificates."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, overload

from lms_archive.errors import (
    ApiError,
    InvalidInputError,
    NotFoundError,
    PartialDeletionError,
    TooManyAffectedError,
    UnexpectedResponseError,
)
from lms_archive.files import write_atomically
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
    read_from,
)
from lms_archive.resources.account import refuse_power_user
from lms_archive.resources.arguments import as_utc, checked_ids
from lms_archive.resources.deletion import Deletion
from lms_archive.resources.identity import require_archived_record
from lms_archive.resources.listing import Listing
from lms_archive.resources.targets import pages_of_course, pages_of_learning_plan
from lms_archive.wire.download import download
from lms_archive.wire.pages import Page, of_target, pages
from lms_archive.wire.session import Session
from lms_archive.wire.tracebacks import short_tracebacks
from lms_archive.wire.verify import verify

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

__all__ = ["Archived", "certificate_of"]

R = TypeVar("R", bound=ArchivedRecord)

_BATCH = 200
UserStatus = Literal["0", "1"]


class ArchivedFilters(TypedDict, total=False):
    """The filters of archived lists, for type checkers."""

    user_ids: Iterable[int] | None
    archived_from: datetime | None
    archived_to: datetime | None
    archived_by: Iterable[int] | None
    user_status: UserStatus | None


@short_tracebacks
class Archived:
    """`client.archived`: the archived enrollments of the platform.

    The lists take the filters of the platform's screen (article). The platform seems to ignore
    an unknown filter instead of refusing it (inferred), so check the items.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def in_course(
        self,
        course: int | str,
        *,
        user_ids: Iterable[int] | None = None,
        archived_from: datetime | None = None,
        archived_to: datetime | None = None,
        archived_by: Iterable[int] | None = None,
        user_status: UserStatus | None = None,
    ) -> Listing[ArchivedCourseEnrollment]:
        """List the archived enrollments of a course, reading page by page.

        Calls `GET /course/v1/courses/{course_id}/enrollments/archived` (assumed; the filters
        exist on the screen: article).

        Args:
            course: its id (int), or its code (str), which `client.courses.find` looks up.
            user_ids: only these users; use at most 200 in a call.
            archived_from: only records archived at or after this aware time.
            archived_to: only records archived at or before this aware time.
            archived_by: only records archived by these users, by id.
            user_status: only users with this status: `"1"` active, `"0"` suspended (assumed).

        Raises:
            InvalidInputError: a time has no time zone, or the period ends before it begins.
            NotFoundError: the course does not exist, or the platform has no such list.
            ApiError: a call failed.
        """
        filters: Any = _checked(
            user_ids=user_ids,
            archived_from=archived_from,
            archived_to=archived_to,
            archived_by=archived_by,
            user_status=user_status,
        )
        return Listing(ArchivedCourseEnrollment, lambda: self.pages_in_course(course, **filters))

    def in_learning_plan(
        self,
        learning_plan: int | str,
        *,
        user_ids: Iterable[int] | None = None,
        archived_from: datetime | None = None,
        archived_to: datetime | None = None,
        archived_by: Iterable[int] | None = None,
        user_status: UserStatus | None = None,
    ) -> Listing[ArchivedLearningPlanEnrollment]:
        """List the archived enrollments of a learning plan, reading page by page.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived`
        (assumed; that an API exists: article); a code is looked up by
        `client.learning_plans.find`. Arguments and errors are those of `in_course`.
        """
        filters: Any = _checked(
            user_ids=user_ids,
            archived_from=archived_from,
            archived_to=archived_to,
            archived_by=archived_by,
            user_status=user_status,
        )
        return Listing(
            ArchivedLearningPlanEnrollment,
            lambda: self.pages_in_learning_plan(learning_plan, **filters),
        )

    @overload
    def get(self, record_id: int, *, course_id: int) -> ArchivedCourseEnrollment: ...
    @overload
    def get(self, record_id: int, *, learning_plan_id: int) -> ArchivedLearningPlanEnrollment: ...
    def get(
        self, record_id: int, *, course_id: int | None = None, learning_plan_id: int | None = None
    ) -> ArchivedRecord:
        """Get the archived record with this id in a course or a learning plan.

        No call for a single record is known, so this reads the target's list until the record
        appears. Calls `GET /course/v1/courses/{course_id}/enrollments/archived` or
        `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived` (assumed).

        Raises:
            InvalidInputError: neither or both of course and learning plan are given.
            NotFoundError: the target has no such record.
        """
        records: Iterable[ArchivedRecord]
        if course_id is not None and learning_plan_id is None:
            records = self.in_course(course_id)
        elif learning_plan_id is not None and course_id is None:
            records = self.in_learning_plan(learning_plan_id)
        else:
            raise InvalidInputError("give either course_id= or learning_plan_id=")
        for record in records:
            if record.archiving.record_id == record_id:
                return record
        raise NotFoundError(
            "GET", "archived enrollments", message=f"the record {record_id} does not exist"
        )

    def download_certificate(self, record: ArchivedRecord, path: str | os.PathLike[str]) -> Path:
        """Save the certificate that was present when the enrollment was archived.

        Calls `GET` on the link in the record (article), which must lead to the platform itself.
        The file is readable by its owner alone, and appears only when it is complete.

        Raises:
            InvalidInputError: the record has no certificate, belongs to another platform, or does
                not say which platform it was read from.
            UnexpectedResponseError: the link leads elsewhere, or to a file that is not a PDF.
            NotFoundError: the file does not exist.
            ApiError: the call failed.
        """
        require_archived_record(self._session, record)
        link = certificate_of(record)
        if link is None:
            raise InvalidInputError(f"record {record.archiving.record_id} has no certificate")
        content = download(self._session, link, "certificate")
        if not content.startswith(b"%PDF-"):
            raise UnexpectedResponseError("GET", link[:200], status=200, faults=["not a PDF"])
        with write_atomically(path, binary=True) as file:
            file.write(content)
        return Path(path)

    def delete(
        self,
        records: Iterable[ArchivedRecord],
        *,
        dry_run: bool = False,
        max_affected: int | None = None,
    ) -> Deletion:
        """Delete archived records permanently, and return what was deleted.

        Calls `DELETE /course/v1/courses/{course_id}/enrollments/archived` or
        `DELETE /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived` (assumed;
        that deletion exists: article), 200 records a call. Deletes only records that you pass,
        only on the platform that they were read from, only where the platform's own swagger
        confirms the call, and only where `GET /manage/v1/user/session` does not answer that the
        account is a Power User. No job deletes archived records.

        Args:
            records: the records, as they were read.
            dry_run: send nothing, and return what would be deleted.
            max_affected: the most records that may be deleted.

        Raises:
            TooManyAffectedError: there are more records than `max_affected`; nothing was sent.
            InvalidInputError: something is not an archived record, is another platform's, or does
                not say which platform it was read from; nothing was sent.
            InvalidInputError: a value is not an archived record, belongs to another platform, or
                does not say which platform it was read from; nothing was sent.
            UnconfirmedContractError: the platform does not confirm the call; nothing was deleted.
            PartialDeletionError: a call failed after records were, or may be, deleted; the error
                says which.
            PermissionDeniedError: Power Users cannot delete archived enrollments; nothing was
                deleted.
            ApiError: the first call failed; nothing was deleted.
        """
        value: object = records
        if not isinstance(value, Iterable):
            raise InvalidInputError(f"expected a list of archived records, not {records!r:.60}")
        _check_options(dry_run, max_affected)
        # A dict: ordered, each id once.
        by_target: dict[tuple[str, int], dict[int, ArchivedRecord]] = {}
        for record in records:
            require_archived_record(self._session, record)
            if isinstance(record, ArchivedCourseEnrollment):
                key = ("course", record.course.course_id)
            else:
                key = ("learning_plan", record.learning_plan.learning_plan_id)
            by_target.setdefault(key, {})[record.archiving.record_id] = record
        batches = [
            (kind, target_id, [*ids][start : start + _BATCH])
            for (kind, target_id), ids in by_target.items()
            for start in range(0, len(ids), _BATCH)
        ]
        distinct = tuple(record for ids in by_target.values() for record in ids.values())
        deletion = Deletion(records=distinct, calls=len(batches), dry_run=dry_run)
        if dry_run:
            return deletion
        if max_affected is not None and len(distinct) > max_affected:
            raise TooManyAffectedError(
                len(distinct),
                max_affected,
                f"{len(distinct):,} archived records would be deleted and max_affected is "
                f"{max_affected:,}; nothing was sent. Look at delete(records, dry_run=True), then "
                "raise max_affected or select fewer.",
            )
        if not by_target:
            return deletion
        refuse_power_user(self._session, "delete archived enrollments")
        names = sorted({f"delete_archived_{kind}_enrollments" for kind, _ in by_target})
        verify(self._session, names).require(*names)
        deleted: list[int] = []
        for number, (kind, target_id, ids) in enumerate(batches):
            name, where = f"delete_archived_{kind}_enrollments", {f"{kind}_id": target_id}
            try:
                self._delete(name, record_ids=ids, **where)
            except ApiError as error:
                confirmed = tuple(
                    by_target[kind, target_id][record_id]
                    for kind, target_id, batch in batches[:number]
                    for record_id in batch
                )
                later = [record_id for _, _, batch in batches[number + 1 :] for record_id in batch]
                if not deleted and not error.in_doubt:
                    raise
                raise PartialDeletionError(
                    error.method,
                    error.path,
                    status=error.status,
                    message=error.message,
                    retry_after=error.retry_after,
                    in_doubt=error.in_doubt,
                    deleted=deleted,
                    uncertain=ids if error.in_doubt else (),
                    remaining=later if error.in_doubt else [*ids, *later],
                    deletion=Deletion(records=confirmed, calls=number),
                ) from error
            deleted += ids
        return deletion

    def _delete(self, name: str, **parameters: Any) -> None:
        """Make one call that deletes records.

        Raises:
            ApiError: the call failed, or its answer says that it did not succeed.
        """
        row, data = self._session.operation(name), self._session.call(name, **parameters).data
        if row.find(data, "success") is False:
            text = "the platform says that it did not succeed"
            path = row.request(**parameters).path
            raise ApiError(row.method, path, status=200, message=text, in_doubt=True)

    def pages_in_course(
        self, course: int | str, **filters: Unpack[ArchivedFilters]
    ) -> Iterator[Page[ArchivedCourseEnrollment]]:
        """Yield `Page` objects with the platform's totals; arguments as for `in_course`."""
        checked = _checked(**filters)

        def read(course_id: int) -> Iterator[Page[ArchivedCourseEnrollment]]:
            parameters = {"course_id": course_id, **checked}
            listed = pages(
                self._session, "archived_course_enrollments", ArchivedCourseEnrollment, **parameters
            )
            return self._with_platform(of_target(listed, course_id, attrgetter("course.course_id")))

        return pages_of_course(self._session, course, read)

    def pages_in_learning_plan(
        self, learning_plan: int | str, **filters: Unpack[ArchivedFilters]
    ) -> Iterator[Page[ArchivedLearningPlanEnrollment]]:
        """Yield `Page` objects with the platform's totals; arguments as for `in_learning_plan`."""
        checked = _checked(**filters)

        def read(learning_plan_id: int) -> Iterator[Page[ArchivedLearningPlanEnrollment]]:
            parameters = {"learning_plan_id": learning_plan_id, **checked}
            listed = pages(
                self._session,
                "archived_learning_plan_enrollments",
                ArchivedLearningPlanEnrollment,
                **parameters,
            )
            get_id = attrgetter("learning_plan.learning_plan_id")
            return self._with_platform(of_target(listed, learning_plan_id, get_id))

        return pages_of_learning_plan(self._session, learning_plan, read)

    def _with_platform(self, listed: Iterator[Page[R]]) -> Iterator[Page[R]]:
        """Yield these pages after noting in each record which platform it was read from."""
        for page in listed:
            for record in page.items:
                read_from(record, self._session.settings.base_url)
            yield page


def certificate_of(record: ArchivedRecord) -> str | None:
    """Return the link to the certificate of an archived record, or None."""
    if isinstance(record, ArchivedCourseEnrollment):
        return record.course.certificate_url or None
    return record.learning_plan.certificate_url or None


def _check_options(dry_run: object, max_affected: object) -> None:
    if not isinstance(dry_run, bool):
        raise InvalidInputError(f"dry_run is True or False, not {dry_run!r:.60}")
    if max_affected is not None and (type(max_affected) is not int or max_affected < 0):
        raise InvalidInputError(f"max_affected is a whole number of records, not {max_affected!r}")


def _checked(**filters: Any) -> dict[str, Any]:
    times = [(name, filters.get(name)) for name in ("archived_from", "archived_to")]
    for name, moment in times:
        if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
            raise InvalidInputError(f"{name} needs a time zone, such as timezone.utc: {moment}")
        if moment is not None:
            as_utc(name, moment)
    (_, begin), (_, end) = times
    if begin is not None and end is not None and begin > end:
        raise InvalidInputError(f"archived_from {begin} is after archived_to {end}")
    lists = ("user_ids", "archived_by")
    return {
        name: checked_ids(name, value) if name in lists else value
        for name, value in filters.items()
    }
