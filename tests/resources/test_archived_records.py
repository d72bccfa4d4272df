"""Archived records one by one: found, and deleted only on confirmed ground."""

import copy
import json
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from conftest import quick_client, read_csv
from swagger_documents import own_documents
from wire_tools import URL, Sent, answer, scripted

from lms_archive import (
    ApiError,
    ArchivedCourseEnrollment,
    ArchiveJob,
    Client,
    Contract,
    InvalidInputError,
    RetryPolicy,
)
from lms_archive.errors import (
    NotFoundError,
    PartialDeletionError,
    PermissionDeniedError,
    TooManyAffectedError,
    UnconfirmedContractError,
    UnexpectedResponseError,
)
from lms_archive.records import (
    ArchivedCourse,
    ArchiveDetails,
    ArchivedRecord,
    ArchivedUser,
    CourseEnrollmentDetails,
)
from lms_archive.records.archived import read_from
from lms_archive.sandbox import Sandbox
from lms_archive.wire import Response

DONE = {"enrollment_status": "completed", "enrollment_created_at": "2024-01-01 10:00:00"}


@pytest.fixture
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A platform on which ada and bob are archived in a course and in a learning plan."""
    with Sandbox(job_seconds=0) as sandbox:
        names = ("ada", "bob")
        sandbox.load(
            users=[{"username": name} for name in names],
            courses=[{"id_course": 1, "code": "C1", "name": "One"}],
            learning_plans=[{"learning_plan_id": 5, "code": "P5", "title": "Five", "courses": []}],
            enrollments=[{"username": n, "id_course": 1, **DONE} for n in names],
            learning_plan_enrollments=[
                {"username": n, "learning_plan_id": 5, **DONE} for n in names
            ],
        )
        job = ArchiveJob.from_rows(
            [{"username": n, "course_id": 1, "learning_plan_id": None} for n in names]
            + [{"username": n, "course_id": None, "learning_plan_id": 5} for n in names],
            mode="unenroll",
            reset_tracking=False,
        )
        client = quick_client(sandbox)
        ledger = tmp_path_factory.mktemp("archived") / "ledger.sqlite"
        assert job.plan(client).apply(client, ledger=ledger).counts["archived"] == 4
        yield sandbox


def _left(sandbox: Sandbox) -> tuple[int, ...]:
    tables = ("archived_enrollments", "archived_learning_plan_enrollments")
    with closing(sqlite3.connect(sandbox.path)) as database:
        counts = [database.execute(f"SELECT count(*) FROM {table}") for table in tables]
        return tuple(count.fetchone()[0] for count in counts)


def test_a_record_is_found_by_its_target_and_its_id(archived: Sandbox) -> None:
    """One record is found by its target and its id."""
    client = archived.client()
    for record in client.archived.in_course(1):
        assert client.archived.get(record.archiving.record_id, course_id=1) == record
    for plan in client.archived.in_learning_plan(5):
        assert client.archived.get(plan.archiving.record_id, learning_plan_id=5) == plan
    with pytest.raises(NotFoundError, match="the record 99 does not exist"):
        client.archived.get(99, course_id=1)
    for where in ({}, {"course_id": 1, "learning_plan_id": 5}):
        with pytest.raises(InvalidInputError, match="give either course_id="):
            client.archived.get(1, **where)
    before = len(archived.calls)
    no_ids: list[Any] = [True, "5", None, 5.0, -1]
    for record_id in no_ids:
        with pytest.raises(InvalidInputError, match="record_id must be an id, a whole number"):
            client.archived.get(record_id, course_id=1)
    no_records: list[Any] = [b"", "", {}]
    for records in no_records:
        with pytest.raises(InvalidInputError, match="expected a list of archived records, not "):
            client.archived.delete(records)
    assert len(archived.calls) == before


def test_the_records_in_hand_are_deleted_and_no_others(archived: Sandbox) -> None:
    """The records in hand are deleted, of both kinds, and no others."""
    client = archived.client()
    course = list(client.archived.in_course(1))
    plan = list(client.archived.in_learning_plan(5))
    assert len(client.archived.delete([course[0], plan[1], course[0]]).records) == 2
    assert list(client.archived.in_course(1)) == course[1:]
    assert list(client.archived.in_learning_plan(5)) == plan[:1]


def test_a_dry_run_of_a_deletion(archived: Sandbox) -> None:
    """Counts, ages and calls of what would be deleted; nothing is sent, whatever the ceiling."""
    client = archived.client()
    course, plan = list(client.archived.in_course(1)), list(client.archived.in_learning_plan(5))
    before = len(archived.calls)
    deletion = client.archived.delete([*course, plan[0], course[0]], dry_run=True, max_affected=0)
    assert len(archived.calls) == before
    assert deletion.counts == {"course": 2, "learning_plan": 1}
    assert deletion.calls == 2
    times = [record.archiving.archived_at for record in course]
    times.append(plan[0].archiving.archived_at)
    known = [time for time in times if time is not None]
    assert (deletion.oldest, deletion.newest) == (min(known), max(known))
    assert len(known) == 3
    assert str(deletion).startswith("3 archived records: 2 of courses, 1 of learning plans\n")
    refused = "max_affected is 0, so the deletion would be refused."
    assert str(deletion).endswith(f"\nThis is a dry run: nothing was sent. {refused}")
    enough = client.archived.delete(course, dry_run=True, max_affected=2)
    assert str(enough).endswith("\nThis is a dry run: nothing was sent.")
    assert repr(deletion) == ("<Deletion: 3 records would be deleted>")
    assert _left(archived) == (2, 2)


def test_what_was_deleted_is_a_table(archived: Sandbox, tmp_path: Path) -> None:
    """The CSV of a deletion has a row for each record, of both kinds; the calls are those made."""
    client = archived.client()
    records = [*client.archived.in_course(1), *client.archived.in_learning_plan(5)]
    deletion = client.archived.delete(records, max_affected=4)
    assert _left(archived) == (0, 0)
    assert not deletion.dry_run
    assert str(deletion).endswith("\nDeleted.")
    assert deletion.calls == sum(call.method == "DELETE" for call in archived.calls)
    deletion.to_csv(tmp_path / "deleted.csv")
    rows = read_csv(tmp_path / "deleted.csv")
    assert [row["username"] for row in rows] == [record.user.username for record in records]
    codes = [row["course_code"] or row["learning_plan_code"] for row in rows]
    assert codes == ["C1", "C1", "P5", "P5"]


def test_more_records_than_may_be_deleted(archived: Sandbox) -> None:
    """The ceiling counts each record once, and stops everything before the first call.

    Another spelling of the address is the same platform.
    """
    client = archived.client()
    records = list(client.archived.in_course(1))
    before = len(archived.calls)
    text = "2 archived records would be deleted and max_affected is 1; nothing was sent"
    with pytest.raises(TooManyAffectedError, match=text) as caught:
        client.archived.delete(records, max_affected=1)
    assert (caught.value.affected, caught.value.max_affected) == (2, 1)
    assert client.archived.delete([]).records == ()
    assert len(archived.calls) == before
    url = f"{archived.url.upper().replace('HTTP', 'http')}/"
    there = Client(url, client.session.settings.auth)
    assert len(there.archived.delete([*records, records[0]], max_affected=2).records) == 2


GONE = Contract.default().with_operation(
    "delete_archived_course_enrollments", path="/course/v9/{course_id}/gone"
)
Selected = Callable[[list[ArchivedRecord]], Any]
#: Arguments of the client, what is passed, the options, the error and its text.
REFUSED: dict[str, tuple[dict[str, Any], Selected, dict[str, Any], type[Exception], str]] = {
    "neither yes nor no": (
        {}, list, {"dry_run": "no"}, InvalidInputError, "dry_run is True or False, not 'no'"),
    "a negative ceiling": (
        {}, list, {"max_affected": -1}, InvalidInputError, "is a whole number of records, not -1"),
    "a ceiling that is a flag": (
        {}, list, {"max_affected": True}, InvalidInputError, "number of records, not True"),
    "an id instead of a record": (
        {}, lambda _: [7], {}, InvalidInputError, "expected archived records, not 7"),
    "a record instead of a list": (
        {}, lambda records: records[0], {}, InvalidInputError, "expected a list of archived rec"),
    "an unconfirmed call": (
        {"contract": GONE}, list, {}, UnconfirmedContractError, "delete_archived_course_enroll"),
    "a Power User": (
        {"role": "power_user"}, list, {}, PermissionDeniedError, "Users cannot delete archived"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_deletion_deletes_nothing(archived: Sandbox, case: tuple[Any, ...]) -> None:
    """The reason is in the error, and every record is still there."""
    arguments, select, options, error, text = case
    records = list(archived.client().archived.in_course(1))
    client = archived.client(**arguments)
    with pytest.raises(error, match=text):
        client.archived.delete(select(records), **options)
    assert _left(archived) == (2, 2)


# Which platform a record was read from


@pytest.fixture
def other() -> Iterator[Sandbox]:
    """Another platform, whose records have the same ids and targets."""
    with Sandbox(job_seconds=0) as sandbox:
        yield sandbox


def records_of(client: Client) -> list[ArchivedRecord]:
    """All records of both kinds."""
    return [*client.archived.in_course(1), *client.archived.in_learning_plan(5)]


def test_a_record_knows_its_platform(archived: Sandbox) -> None:
    """Where a record was read is kept over a pickle and a copy, and shown in no export."""
    client = archived.client()
    for record in records_of(client):
        assert record.platform == archived.url
        again = pickle.loads(pickle.dumps(record))  # noqa: S301  our own
        assert (again, again.platform) == (record, archived.url)
        assert copy.deepcopy(record).platform == archived.url
        assert "platform" not in record.to_dict()
        assert archived.url not in repr(record)
        plain = type(record).from_dict(record.to_dict())
        assert plain == record
        assert plain.platform is None
    for listing in (client.archived.in_course(1), client.archived.in_learning_plan(5)):
        assert "platform" not in listing.to_pandas().columns
        assert "platform" not in listing.to_arrow().column_names


def another_platform(records: list[ArchivedRecord], url: str) -> list[ArchivedRecord]:
    """Return the records as if the last one was read from another platform."""
    alien = pickle.loads(pickle.dumps(records[-1]))  # noqa: S301  our own
    return [*records[:-1], read_from(alien, url)]


OTHERS: dict[str, tuple[Callable[[list[ArchivedRecord], str], list[ArchivedRecord]], str]] = {
    "from a dict": (
        lambda records, _: [type(record).from_dict(record.to_dict()) for record in records],
        "does not say which platform it was read from, .* read it again with client.archived",
    ),
    "one of several": (
        another_platform,
        "was read from http.*, but this client is for http.*: use",
    ),
}


@pytest.mark.parametrize(("make", "text"), OTHERS.values(), ids=OTHERS.keys())
def test_records_of_another_platform_are_refused(
    archived: Sandbox,
    other: Sandbox,
    tmp_path: Path,
    make: Callable[[list[ArchivedRecord], str], list[ArchivedRecord]],
    text: str,
) -> None:
    """`delete` and `download_certificate` send nothing, not even for the records that are right."""
    client = archived.client()
    records = make(records_of(client), other.url)
    before = len(archived.calls)
    with pytest.raises(InvalidInputError, match=text):
        client.archived.delete(iter(records))
    with pytest.raises(InvalidInputError, match=text):
        client.archived.download_certificate(records[-1], tmp_path / "one.pdf")
    assert len(archived.calls) == before
    assert not list(tmp_path.iterdir())
    assert _left(archived) == (2, 2)


def test_records_of_a_result_know_their_platform(
    archived: Sandbox, other: Sandbox, tmp_path: Path
) -> None:
    """Records that come out of a ledger know the platform of their job."""
    enrollment = {"username": "cleo", "id_course": 9, **DONE}
    archived.load(
        users=[{"username": "cleo"}],
        courses=[{"code": "C9", "id_course": 9}],
        enrollments=[enrollment],
    )
    client = quick_client(archived)
    job = ArchiveJob.for_course(9, mode="unenroll", reset_tracking=False).users(["cleo"])
    result = job.plan(client).apply(client, ledger=tmp_path / "ledger.sqlite")
    (record,) = result.records
    assert record.platform == archived.url
    with pytest.raises(InvalidInputError, match="was read from"):
        other.client().archived.delete(result.records)
    assert len(client.archived.delete(result.records).records) == 1


def test_a_certificate_that_is_not_a_pdf_is_not_saved(tmp_path: Path) -> None:
    """Whatever it is: bytes that are not a PDF leave no file."""
    client, _ = scripted(answer(b"PK\x03\x04"))
    record = attrs.evolve(_thousand()[0], course=ArchivedCourse(course_id=1, certificate_url="/c"))
    with pytest.raises(UnexpectedResponseError, match="not a PDF"):
        client.archived.download_certificate(read_from(record, URL), tmp_path / "c.pdf")
    assert not list(tmp_path.iterdir())


# A call that fails in the middle


FAILURES: dict[str, tuple[Any, bool]] = {
    "refused": (answer({"message": "no such course"}, 404), False),
    "never connected": (ConnectionRefusedError("refused"), False),
    "lost": (TimeoutError("timed out"), True),
    "a web page": (answer(b"<html><title>Sign in</title>"), True),
    "no success": (answer({"data": {"success": False}}), True),
}


def _thousand() -> list[ArchivedCourseEnrollment]:
    records = [
        ArchivedCourseEnrollment(
            archiving=ArchiveDetails(record_id=number),
            user=ArchivedUser(user_id=number),
            course=ArchivedCourse(course_id=1 + number // 500),
            enrollment=CourseEnrollmentDetails(),
        )
        for number in range(1000)
    ]
    return [read_from(record, URL) for record in records]


@pytest.mark.parametrize(("failure", "in_doubt"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("good", [0, 1, 4])
def test_a_delete_that_fails_in_the_middle(failure: Any, in_doubt: bool, good: int) -> None:  # noqa: FBT001
    """The error says which records are gone, which may be, and which are not."""
    deletes, documents = 0, own_documents()

    def play(sent: Sent) -> Response:
        nonlocal deletes
        if sent.method != "DELETE":
            document = documents.get(sent.url.removeprefix(URL).split("/")[1])
            is_swagger = document and sent.url.endswith("swagger")
            return answer(document) if is_swagger else answer({}, 404)
        deletes += 1
        if deletes <= good:
            return answer({"data": {"success": True}})
        if isinstance(failure, BaseException):
            raise failure
        return failure  # type: ignore[no-any-return]

    client, script = scripted(play, retry=RetryPolicy(attempts=1))
    with pytest.raises(ApiError) as caught:
        client.archived.delete(_thousand())
    error = caught.value
    assert error.in_doubt is in_doubt
    sent = [
        number
        for call in script.sent
        if call.method == "DELETE"
        for number in json.loads(call.body or b"")["ids"]
    ]
    if not good and not in_doubt:
        assert not isinstance(error, PartialDeletionError)
        return
    assert isinstance(error, PartialDeletionError)
    assert isinstance(error.__cause__, ApiError)
    gone = {0: 0, 1: 200, 4: 700}[good]
    last = sent[gone:]
    assert error.deleted == tuple(range(gone))
    assert error.uncertain == (tuple(last) if in_doubt else ())
    assert error.deleted + error.uncertain + error.remaining == tuple(range(1000))
    assert [record.archiving.record_id for record in error.deletion.records] == list(error.deleted)
    assert error.message
    if gone:
        assert f"; {gone} deleted: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and {gone - 10} more" in str(error)
    assert "not deleted: " in str(error)
    assert ("in doubt (list the archived records to see): " in str(error)) is in_doubt
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert (again.deleted, again.remaining) == (error.deleted, error.remaining)
