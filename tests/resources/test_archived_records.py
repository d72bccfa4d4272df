"""Archived records one by one: found, and deleted only on confirmed ground."""

import sqlite3
from collections.abc import Iterator

import pytest
from conftest import quick_client

from lms_archive import (
    ArchiveJob,
    Client,
    Contract,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    UnconfirmedContractError,
)
from lms_archive.sandbox import Sandbox

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


def _left(sandbox: Sandbox) -> tuple[int, int]:
    database = sqlite3.connect(sandbox.path)
    try:
        return tuple(
            database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("archived_enrollments", "archived_learning_plan_enrollments")
        )
    finally:
        database.close()


def test_get(archived: Sandbox) -> None:
    """One record is found by its target and its id."""
    client = archived.client()
    for record in client.archived.in_course(1):
        assert client.archived.get(record.archiving.record_id, course_id=1) == record
    for plan in client.archived.in_learning_plan(5):
        assert client.archived.get(plan.archiving.record_id, learning_plan_id=5) == plan
    with pytest.raises(NotFoundError, match="there is no record 99"):
        client.archived.get(99, course_id=1)


@pytest.mark.parametrize("where", [{}, {"course_id": 1, "learning_plan_id": 5}])
def test_get_needs_one_place(archived: Sandbox, where: dict[str, int]) -> None:
    """A record's id says nothing without its target."""
    with pytest.raises(InvalidInputError, match="say where"):
        archived.client().archived.get(1, **where)


def test_delete(archived: Sandbox) -> None:
    """The records in hand are deleted, of both kinds, and no others."""
    client = archived.client()
    course = list(client.archived.in_course(1))
    plan = list(client.archived.in_learning_plan(5))
    client.archived.delete([course[0], plan[1]])
    assert list(client.archived.in_course(1)) == course[1:]
    assert list(client.archived.in_learning_plan(5)) == plan[:1]


def test_delete_is_refused_where_it_is_not_confirmed(archived: Sandbox) -> None:
    """Where the platform's swagger has no such call, nothing is sent."""
    contract = Contract.default().with_operation(
        "delete_archived_course_enrollments", path="/course/v9/{course_id}/gone"
    )
    client = archived.client(contract=contract)
    records = list(client.archived.in_course(1))
    with pytest.raises(UnconfirmedContractError):
        client.archived.delete(records)
    assert _left(archived) == (2, 2)


def test_delete_as_a_power_user(archived: Sandbox) -> None:
    """Power Users cannot delete archived enrollments, and are told so."""
    records = list(archived.client().archived.in_learning_plan(5))
    client: Client = archived.client("power_user")
    with pytest.raises(PermissionDeniedError, match="nor delete archived ones"):
        client.archived.delete(records)
    assert _left(archived) == (2, 2)


def test_delete_takes_records_only(archived: Sandbox) -> None:
    """An id is not enough: whoever deletes must have the record in hand."""
    with pytest.raises(InvalidInputError, match="wanted archived records, not 7"):
        archived.client().archived.delete([7])  # type: ignore[list-item]
    assert _left(archived) == (2, 2)
