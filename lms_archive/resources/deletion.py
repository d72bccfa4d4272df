"""Delete archived records, and show what was deleted: how many, how old, and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from attrs import field, frozen

from lms_archive.errors import (
    ApiError,
    InvalidInputError,
    PartialDeletionError,
    TooManyAffectedError,
    plural,
)
from lms_archive.records.archived import (
    ArchivedCourse,
    ArchivedCourseEnrollment,
    ArchivedLearningPlan,
    ArchivedLearningPlanEnrollment,
    ArchivedRecord,
)
from lms_archive.resources.account import known_account, power_user_error
from lms_archive.tables.columns import Column, columns_of, rows_of
from lms_archive.tables.frames import Table
from lms_archive.wire.session import Session
from lms_archive.wire.verify import verify

_BATCH = 200


@frozen(kw_only=True, repr=False)
class Deletion(Table):
    """What `client.archived.delete` has deleted; of a dry run, what it would delete.

    `to_csv`, `to_pandas` and `to_arrow` give the records.

    Attributes:
        records: the records, each once.
        calls: how many calls delete them, 200 records of one course or learning plan a call.
        dry_run: whether it was a dry run: nothing was sent.
        max_affected: the most records that may be deleted, where that was limited.
    """

    records: tuple[ArchivedRecord, ...]
    calls: int
    dry_run: bool = field(default=False)
    max_affected: int | None = field(default=None)

    @property
    def counts(self) -> dict[str, int]:
        """The number of records by kind: `course`, `learning_plan`."""
        courses = sum(isinstance(record, ArchivedCourseEnrollment) for record in self.records)
        return {"course": courses, "learning_plan": len(self.records) - courses}

    @property
    def oldest(self) -> datetime | None:
        """When the first of the records was archived, as far as they say."""
        return min(self._times(), default=None)

    @property
    def newest(self) -> datetime | None:
        """When the last of the records was archived, as far as they say."""
        return max(self._times(), default=None)

    def _times(self) -> Iterator[datetime]:
        times = (record.archiving.archived_at for record in self.records)
        return (time for time in times if time is not None)

    def _table(self) -> tuple[Sequence[Column], Iterator[Mapping[str, Any]]]:
        kinds = (ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment)
        classes_of_records = {type(record) for record in self.records}
        classes = [cls for cls in kinds if cls in classes_of_records]
        return columns_of(*(classes or kinds)), rows_of(self.records)

    def __str__(self) -> str:
        counts, total = self.counts, len(self.records)
        end = "This is a dry run: nothing was sent." if self.dry_run else "Deleted."
        if self.dry_run and self.max_affected is not None and total > self.max_affected:
            end += f" max_affected is {self.max_affected:,}, so the deletion would be refused."
        if not total:
            return "no archived records: nothing to delete"
        return (
            f"{plural(total, 'archived record')}: "
            f"{counts['course']:,} of courses, {counts['learning_plan']:,} of learning plans\n"
            f"archived from {self.oldest or 'unknown'} to {self.newest or 'unknown'}\n"
            f"calls that delete: {self.calls:,}\n{end}"
        )

    def __repr__(self) -> str:
        done = "would be deleted" if self.dry_run else "deleted"
        return f"<Deletion: {plural(len(self.records), 'record')} {done}>"


def delete_records(
    session: Session,
    records: Iterable[ArchivedRecord],
    *,
    dry_run: bool,
    max_affected: int | None,
) -> Deletion:
    """Delete these records; see `Archived.delete`."""
    batches = list(_batches(session, records))
    distinct = _records_in(batches)
    deletion = Deletion(
        records=distinct, calls=len(batches), dry_run=dry_run, max_affected=max_affected
    )
    if dry_run or not batches:
        return deletion
    if max_affected is not None and len(distinct) > max_affected:
        raise TooManyAffectedError(
            len(distinct),
            max_affected,
            f"{len(distinct):,} archived records would be deleted and max_affected is "
            f"{max_affected:,}; nothing was sent. Look at delete(records, dry_run=True), then "
            "raise max_affected or select fewer.",
        )
    account = known_account(session)
    if account is not None and account.is_power_user:
        raise power_user_error(session, account, "delete archived enrollments")
    names = sorted({batch.operation for batch in batches})
    verify(session, names).require(*names)
    deleted: list[_Batch] = []
    try:
        for batch in batches:
            batch.delete(session)
            deleted.append(batch)
    except ApiError as error:
        if not deleted and not error.in_doubt:
            raise
        gone, (failed, *later) = _records_in(deleted), batches[len(deleted) :]
        rest = _records_in(later if error.in_doubt else [failed, *later])
        raise PartialDeletionError(
            error.method,
            error.path,
            status=error.status,
            message=error.message,
            retry_after=error.retry_after,
            in_doubt=error.in_doubt,
            deleted=list(map(_id_of, gone)),
            uncertain=failed.record_ids if error.in_doubt else (),
            remaining=list(map(_id_of, rest)),
            deletion=Deletion(records=gone, calls=len(deleted)),
        ) from error
    return deletion


class _Batch(NamedTuple):
    """The records of one course or learning plan that one call deletes."""

    kind: str
    target_id: int
    records: Sequence[ArchivedRecord]

    @property
    def operation(self) -> str:
        return f"delete_archived_{self.kind}_enrollments"

    @property
    def record_ids(self) -> list[int]:
        return list(map(_id_of, self.records))

    def delete(self, session: Session) -> None:
        """Make the call; an answer that says that it did not succeed is an error too."""
        row = session.operation(self.operation)
        parameters: dict[str, Any] = {f"{self.kind}_id": self.target_id}
        parameters["record_ids"] = self.record_ids
        data = session.call(self.operation, **parameters).data
        if row.find(data, "success") is False:
            text = "the platform says that it did not succeed"
            path = row.request(**parameters).path
            raise ApiError(row.method, path, status=200, message=text, in_doubt=True)


def _batches(session: Session, records: Iterable[ArchivedRecord]) -> Iterator[_Batch]:
    """Yield the records, each once and of this platform, in batches of one target."""
    by_target: dict[tuple[str, int], dict[int, ArchivedRecord]] = {}
    for record in records:
        require_archived_record(session, record)
        kind = "course" if isinstance(record, ArchivedCourseEnrollment) else "learning_plan"
        key = (kind, getattr(target_in(record), f"{kind}_id"))
        by_target.setdefault(key, {})[_id_of(record)] = record
    for (kind, target_id), by_id in by_target.items():
        distinct = list(by_id.values())
        for start in range(0, len(distinct), _BATCH):
            yield _Batch(kind, target_id, distinct[start : start + _BATCH])


def _records_in(batches: Iterable[_Batch]) -> tuple[ArchivedRecord, ...]:
    return tuple(chain.from_iterable(batch.records for batch in batches))


def _id_of(record: ArchivedRecord) -> int:
    return record.archiving.record_id


def target_in(record: ArchivedRecord) -> ArchivedCourse | ArchivedLearningPlan:
    """Return the group of an archived record that describes its course or learning plan."""
    return record.course if isinstance(record, ArchivedCourseEnrollment) else record.learning_plan


def require_archived_record(session: Session, record: ArchivedRecord) -> None:
    """Raise an error unless a value is an archived record of this session's platform."""
    if not isinstance(record, (ArchivedCourseEnrollment, ArchivedLearningPlanEnrollment)):
        raise InvalidInputError(f"expected archived records, not {record!r:.60}")
    here, record_id = session.settings.base_url, record.archiving.record_id
    if record.platform is None:
        raise InvalidInputError(
            f"record {record_id} does not say which platform it was read from, and another "
            "platform may use the same id: read it again with client.archived"
        )
    if record.platform != here:
        raise InvalidInputError(
            f"record {record_id} was read from {record.platform}, but this client is for {here}: "
            "use the client that read it"
        )
