"""List and delete archived enrollments, and download their certificates."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, TypeVar, get_args, overload
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit

from lms_archive.errors import InvalidInputError, NotFoundError, UnexpectedResponseError
from lms_archive.files import write_atomically
from lms_archive.records.archived import (
    ArchivedCourseEnrollment,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
    read_from,
)
from lms_archive.resources.arguments import as_id, as_utc, checked_ids, is_iterable
from lms_archive.resources.deletion import (
    Deletion,
    delete_records,
    require_archived_record,
    target_in,
)
from lms_archive.resources.listing import Listing
from lms_archive.resources.signatures import shows_options
from lms_archive.resources.targets import ListsOfTargets
from lms_archive.wire.calls import Request
from lms_archive.wire.pages import Page
from lms_archive.wire.session import Session
from lms_archive.wire.tracebacks import short_tracebacks
from lms_archive.wire.transport import Response

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

T = TypeVar("T")

UserStatus = Literal["0", "1"]


class ArchivedFilters(TypedDict, total=False):
    """The filters of archived lists, for type checkers."""

    user_ids: Iterable[int] | None
    archived_from: datetime | None
    archived_to: datetime | None
    archived_by: Iterable[int] | None
    user_status: UserStatus | None


_FILTERS: Final = tuple(ArchivedFilters.__annotations__)
_takes_filters = shows_options(ArchivedFilters, dict.fromkeys(_FILTERS))


@short_tracebacks
class Archived(ListsOfTargets):
    """`client.archived`: the archived enrollments of the platform.

    The lists take the filters of the platform's screen (article). The platform seems to ignore
    an unknown filter instead of refusing it (inferred), so check the items.
    """

    @_takes_filters
    def in_course(
        self, course: int | str, **filters: Unpack[ArchivedFilters]
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
            InvalidInputError: a time has no time zone, the period ends before it begins, or an id
                or the status is not one.
            NotFoundError: the course does not exist, or the platform has no such list.
            ApiError: a call failed.
        """
        return self._listing(ArchivedCourseEnrollment, course, filters)

    @_takes_filters
    def in_learning_plan(
        self, learning_plan: int | str, **filters: Unpack[ArchivedFilters]
    ) -> Listing[ArchivedLearningPlanEnrollment]:
        """List the archived enrollments of a learning plan, reading page by page.

        Calls `GET /learningplan/v1/learningplans/{learning_plan_id}/enrollments/archived`
        (assumed; that an API exists: article); a code is looked up by
        `client.learning_plans.find`. Arguments and errors are those of `in_course`.
        """
        return self._listing(ArchivedLearningPlanEnrollment, learning_plan, filters)

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
            InvalidInputError: neither or both of course and learning plan are given, or the id is
                not a whole number.
            NotFoundError: the target has no such record.
        """
        record_id = as_id("record_id", record_id)
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
        content = _download(self._session, link)
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
            dry_run: send nothing, and return what would be deleted; printed, it says where
                `max_affected` would refuse that.
            max_affected: the most records that may be deleted.

        Raises:
            TooManyAffectedError: there are more records than `max_affected`; nothing was sent.
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
        if isinstance(value, (str, bytes, bytearray, Mapping)) or not is_iterable(value):
            raise InvalidInputError(f"expected a list of archived records, not {records!r:.60}")
        if not isinstance(dry_run, bool):
            raise InvalidInputError(f"dry_run is True or False, not {dry_run!r:.60}")
        if max_affected is not None and (type(max_affected) is not int or max_affected < 0):
            raise InvalidInputError(
                f"max_affected is a whole number of records, not {max_affected!r}"
            )
        return delete_records(self._session, records, dry_run=dry_run, max_affected=max_affected)

    @_takes_filters
    def pages_in_course(
        self, course: int | str, **filters: Unpack[ArchivedFilters]
    ) -> Iterator[Page[ArchivedCourseEnrollment]]:
        """Yield `Page` objects with the platform's totals; arguments as for `in_course`."""
        return self._pages(ArchivedCourseEnrollment, course, filters)

    @_takes_filters
    def pages_in_learning_plan(
        self, learning_plan: int | str, **filters: Unpack[ArchivedFilters]
    ) -> Iterator[Page[ArchivedLearningPlanEnrollment]]:
        """Yield `Page` objects with the platform's totals; arguments as for `in_learning_plan`."""
        return self._pages(ArchivedLearningPlanEnrollment, learning_plan, filters)

    def _read(
        self, cls: type[T], target: int | str, filters: Mapping[str, Any]
    ) -> Iterator[Page[T]]:
        """Yield the pages, and note in each record which platform it was read from."""
        platform = self._session.settings.base_url
        for page in super()._read(cls, target, filters):
            records: Any = page.items
            for record in records:
                read_from(record, platform)
            yield page

    def _checked(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        checked = {name: filters.get(name) for name in _FILTERS}
        for name in ("user_ids", "archived_by"):
            checked[name] = checked_ids(name, checked[name])
        status = checked["user_status"]
        if status is not None and not (isinstance(status, str) and status in get_args(UserStatus)):
            raise InvalidInputError(
                f"user_status must be '1' (active) or '0' (suspended), not {status!r:.60}"
            )
        times = {
            name: as_utc(name, checked[name])
            for name in ("archived_from", "archived_to")
            if checked[name] is not None
        }
        begin, end = times.get("archived_from"), times.get("archived_to")
        if begin and end and begin > end:
            raise InvalidInputError(f"archived_from {begin} is after archived_to {end}")
        return {**checked, **times}


def _download(session: Session, link: str) -> bytes:
    """Download the file of a certificate; another host is sent neither a call nor the token."""
    base = urlsplit(session.settings.base_url)
    try:
        parts = urlsplit(urljoin(f"{session.settings.base_url}/", link))
        same = _origin(parts) == _origin(base) and parts.username is None
    except ValueError:  # not an address
        parts, same = base, False
    inside = parts.path.startswith(f"{base.path}/") and ".." not in unquote(parts.path).split("/")
    if not (same and inside):
        faults = [f"the link {link[:200]!r} leads outside the platform; it was not followed"]
        raise UnexpectedResponseError("GET", "the link of certificate", faults=faults)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    path = parts.path.removeprefix(base.path)
    response: Response = session.send(
        Request("GET", path, query=query, raw=True), "certificate"
    ).data
    return response.body


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def certificate_of(record: ArchivedRecord) -> str | None:
    """Return the link to the certificate of an archived record, or None."""
    return target_in(record).certificate_url or None
