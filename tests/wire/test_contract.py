"""The one table of calls: what is in it, and how it is overridden."""

import json
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lms_archive import Contract, InvalidInputError
from lms_archive.records.structure import from_plain, to_plain

DEFAULT = Contract.default()
WRITE = "archive_course_enrollments"
MARKS = ("article", "reply", "doc", "2017", "seen", "assumed")

Make = Callable[[Any], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a contract file: bytes as they are, anything else as JSON."""

    def write(content: Any) -> Path:
        path = tmp_path / "contract.json"
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(raw)
        return path

    return write


@pytest.mark.parametrize("name", DEFAULT.operations)
def test_every_row_has_its_evidence_and_its_service(name: str) -> None:
    """A read sends its parameters in the query."""
    row = DEFAULT.operations[name]
    assert any(mark in row.evidence for mark in MARKS)
    assert row.path.split("/")[1] == row.service
    assert row.sends == {"GET": "query", "POST": "form"}.get(row.method, "json")


def test_the_default_is_one_value_and_survives_json() -> None:
    """The default is read once, and its JSON form gives it back."""
    assert Contract.default() is DEFAULT
    assert from_plain(Contract, to_plain(DEFAULT)) == DEFAULT


def test_the_archive_call_has_the_form_of_the_reply() -> None:
    """The call that cannot be undone is built as the reply and the contract of 2017 have it."""
    request = DEFAULT.operations[WRITE].request(
        course_id=71, user_ids=[1, 2], mode="delete", reset_tracking=False
    )
    assert (request.method, request.path, request.query) == ("PUT", "/learn/v1/enrollments", ())
    assert request.json == {
        "course_id": [71],
        "user_id": [1, 2],
        "enrollment_mode": "delete",
        "reset_tracking": False,
    }
    assert request.is_write


def test_a_read_sends_lists_and_escapes_its_path() -> None:
    """A read puts lists in the query one by one, leaves out None, and escapes its path."""
    row = DEFAULT.operations["course_enrollments"]
    request = row.request(course_id="a/b?", user_ids=[1, 2], status=None, page=1)
    assert request.path == "/course/v1/courses/a%2Fb%3F/enrollments"
    assert request.query == (
        ("user_id[]", "1"),
        ("user_id[]", "2"),
        ("page", "1"),
        ("extra_fields[]", "enrollment_status"),
        ("extra_fields[]", "enrollment_time_spent"),
        ("get_cursor", "1"),
        ("get_total_count", "1"),
    )
    assert not request.is_write


def test_a_read_leaves_out_an_unknown_filter_and_a_write_refuses_it() -> None:
    """A read leaves out what its row has no name for; a write refuses to."""
    without = DEFAULT.with_operation("course_enrollments", params={"status": None})
    read = without.operations["course_enrollments"].request(course_id=1, status=["completed"])
    assert "enrollment_status[]" not in dict(read.query)
    with pytest.raises(KeyError):
        DEFAULT.operations[WRITE].request(course_id=1, user_ids=[1], dry_run=True)


def test_a_write_in_the_query_leaves_nothing_out_either() -> None:
    """A write whose parameters go into the query still loses none of them."""
    row = DEFAULT.with_operation(WRITE, sends="query").operations[WRITE]
    request = row.request(course_id=1, user_ids=[1, 2], mode="delete", reset_tracking=True)
    assert dict(request.query)["reset_tracking"] == "1"
    assert request.is_write
    with pytest.raises(KeyError):
        row.request(course_id=1, dry_run=True)


def test_a_file_holds_only_what_differs(make: Make) -> None:
    """A file holds only what differs, and all the rest is the default."""
    path = make(
        {
            "operations": {WRITE: {"path": "/course/v1/archive", "params": {"mode": "how"}}},
            "records": {"CourseEnrollment": {"status": "state"}},
            "enrollment_mode": {"unenroll": "archive"},
        }
    )
    contract = Contract.load(path)
    row = contract.operations[WRITE]
    assert (row.path, row.params["mode"]) == ("/course/v1/archive", "how")
    assert row.params["user_ids"] == "user_id[]"
    assert contract.records["CourseEnrollment"]["status"] == "state"
    assert contract.enrollment_mode == {"unenroll": "archive", "re-enroll": "re_enroll"}
    assert contract.operations["get_job"] == DEFAULT.operations["get_job"]
    assert DEFAULT.operations[WRITE].path == "/learn/v1/enrollments"


def test_a_byte_order_mark_is_allowed(make: Make) -> None:
    """A byte order mark, as Windows editors write it, does no harm."""
    path = make(b'\xef\xbb\xbf{"enrollment_mode": {"unenroll": "x"}}')
    assert Contract.load(str(path)).enrollment_mode["unenroll"] == "x"


def test_save_writes_what_load_reads(tmp_path: Path) -> None:
    """A file holds only what differs, taken-out entries too, and gives the contract back."""
    changed = (
        DEFAULT.with_operation(
            "course_enrollments",
            path="/x/{course_id}",
            params={"status": None, "user_ids": "ids[]"},
            fixed={"get_cursor": None, "view": "full"},
            answer={"items": "data.rows"},
        )
        .with_record("Course", course_id=["nr", "id"], title="label")
        .with_enrollment_mode("unenroll", "archivé")
    )
    path = tmp_path / "contract.json"
    changed.save(path)
    assert Contract.load(path) == changed
    written = json.loads(path.read_text(encoding="utf-8"))
    assert set(written["operations"]) == {"course_enrollments"}
    assert written["records"] == {"Course": {"course_id": ["nr", "id"], "title": "label"}}
    assert written["enrollment_mode"] == {"unenroll": "archivé"}
    DEFAULT.save(tmp_path / "default.json")
    assert (tmp_path / "default.json").read_text(encoding="utf-8") == "{}\n"


def test_save_does_not_overwrite_a_file(tmp_path: Path) -> None:
    """A contract that was edited by hand is not lost; a folder that is missing is named."""
    path = tmp_path / "contract.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"contract\.json: already exists; name a new file"):
        DEFAULT.with_enrollment_mode("unenroll", "x").save(path)
    assert path.read_text(encoding="utf-8") == "{}"
    with pytest.raises(InvalidInputError, match="cannot be written: No such file"):
        DEFAULT.save(tmp_path / "none" / "contract.json")


WRONG: dict[str, tuple[Any, str]] = {
    "list": ([], "expected a JSON object"),
    "unknown part": ({"operation": {}}, "$.operation: unknown; expected one of: operations, "),
    "unknown operation": ({"operations": {"archive": {}}}, "$.operations.archive: unknown; "),
    "unknown field": ({"operations": {WRITE: {"metod": "PUT"}}}, f"$.operations.{WRITE}.metod: "),
    "unknown method": ({"operations": {WRITE: {"method": "SEND"}}}, f"{WRITE}: method 'SEND' is"),
    "a write by GET": (
        {"operations": {WRITE: {"method": "GET", "sends": "query"}}},
        f"$.operations.{WRITE}.method: a call that changes something cannot be a GET",
    ),
    "path without slash": ({"operations": {WRITE: {"path": "learn"}}}, "path 'learn' must begin"),
    "path to another host": ({"operations": {WRITE: {"path": "//evil/x"}}}, "path '//evil/x' must"),
    "path with query": ({"operations": {WRITE: {"path": "/x?a=1"}}}, "path '/x?a=1' must begin"),
    "place for nothing": (
        {"operations": {WRITE: {"path": "/x/{plan}"}}},
        f"$.operations.{WRITE}.path: {{plan}} is not one of: course_id, mode, ",
    ),
    "no place for the course": (
        {"operations": {"course_enrollments": {"path": "/x"}}},
        "$.operations.course_enrollments: 'course_id' is missing from path and params",
    ),
    "no place for the users": (
        {"operations": {WRITE: {"params": {"user_ids": None}}}},
        f"$.operations.{WRITE}: 'user_ids' is missing from path and params",
    ),
    "unknown param": (
        {"operations": {WRITE: {"params": {"who": "user"}}}},
        f"$.operations.{WRITE}.params.who: unknown; expected one of: course_id, ",
    ),
    "params a list": ({"operations": {WRITE: {"params": []}}}, ".params: expected an object"),
    "sends": ({"operations": {WRITE: {"sends": "xml"}}}, f"$.operations.{WRITE}.sends: xml"),
    "answer a number": (
        {"operations": {WRITE: {"answer": {"job_id": 7}}}},
        f"$.operations.{WRITE}.answer.job_id: expected text, not 7",
    ),
    "unknown record": ({"records": {"Plan": {}}}, "$.records.Plan: unknown; expected one of"),
    "group without dot": (
        {"records": {"ArchivedCourseEnrollment": {"username": "x"}}},
        "$.records.ArchivedCourseEnrollment.username: unknown; expected one of: archiving",
    ),
    "key a number": (
        {"records": {"User": {"user_id": 3}}},
        "$.records.User.user_id: expected text, not 3",
    ),
    "unknown mode": ({"enrollment_mode": {"delete": "x"}}, "$.enrollment_mode.delete: unknown"),
    "mode a truth value": (
        {"enrollment_mode": {"unenroll": True}},
        "$.enrollment_mode.unenroll: expected text, not True",
    ),
    "mode blank": ({"enrollment_mode": {"unenroll": " "}}, "an enrollment_mode is blank: give"),
    "one value for two modes": (
        {"enrollment_mode": {"unenroll": "RE_ENROLL"}},
        "enrollment_mode has the same value for two modes: give each",
    ),
    **{
        f"fixed {name}": (
            {"operations": {operation: {"fixed": {name: 1}}}},
            f"$.operations.{operation}: fixed {name!r} would replace the parameter {word!r}: ",
        )
        for operation, name, word in [
            (WRITE, "reset_tracking", "reset_tracking"),
            (WRITE, "user_id[]", "user_ids"),
            (WRITE, "user_id", "user_ids"),
            (WRITE, "enrollment_mode.x", "mode"),
            (f"{WRITE}_select_all", "filters", "status"),
            ("course_enrollments", "user_id[0]", "user_ids"),
        ]
    },
    "two parameters of one name": (
        {"operations": {WRITE: {"params": {"mode": "reset_tracking"}}}},
        "the parameters 'mode' and 'reset_tracking' are both named 'reset_tracking': give each",
    ),
    "an operation twice": (
        b'{"operations": {"get_job": {"path": "/a"}, "get_job": {"path": "/b"}}}',
        "occurs twice in one object; remove or merge",
    ),
    "a key twice": (b'{"records": {"Course": {"code": "a", "code": "b"}}}', "occurs twice in one "),
    "no JSON": (b"{'operations': {}}", "not JSON: Expecting property name"),
    "latin-1": (b'{"records": "\xe9"}', "not JSON: "),
    "deep": (b"[" * 100_000, "not JSON: "),
}


@pytest.mark.parametrize(("content", "fragment"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_refused_with_the_path_of_the_fault(
    make: Make, content: Any, fragment: str
) -> None:
    """A wrong file gives its name and the JSON path of the fault."""
    path = make(content)
    with pytest.raises(InvalidInputError) as caught:
        Contract.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert fragment in str(caught.value)
    assert caught.value.source == str(path)


@pytest.mark.parametrize(("name", "value"), [("path", "9" * 5_000), ("method", {"a": "9" * 5_000})])
def test_a_long_value_is_shortened(make: Make, name: str, value: Any) -> None:
    """A wrong value is quoted, but never as a whole screen."""
    with pytest.raises(InvalidInputError) as caught:
        Contract.load(make({"operations": {WRITE: {name: value}}}))
    assert f"$.operations.{WRITE}" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_all_faults_of_a_file_are_reported_at_once(make: Make) -> None:
    """They are in one error."""
    path = make({"enrollment_mode": {"x": "y"}, "records": {"User": {"user_id": 3}, "Z": {}}})
    with pytest.raises(InvalidInputError) as caught:
        Contract.load(path)
    paths = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert paths == ["$.enrollment_mode.x", "$.records.User.user_id", "$.records.Z"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there, and a folder, are named."""
    with pytest.raises(InvalidInputError, match=r"nowhere\.json: cannot be read: No such file"):
        Contract.load(tmp_path / "nowhere.json")
    with pytest.raises(InvalidInputError, match="is not an ordinary file"):
        Contract.load(tmp_path)


def test_an_override_changes_a_copy() -> None:
    """Calls, keys (those in a group with their dot) and modes change; the default does not."""
    call = DEFAULT.with_operation(
        "course_enrollments", fixed={"get_cursor": None, "view": "full", "extra_fields[]": ["a"]}
    ).operations["course_enrollments"]
    query = call.request(course_id=1).query
    assert query == (("extra_fields[]", "a"), ("get_total_count", "1"), ("view", "full"))
    assert call.evidence == "override"
    noted = DEFAULT.with_operation("get_job", evidence="seen by us", answer={"item": "job"})
    assert noted.operations["get_job"].evidence == "seen by us"
    assert noted.operations["get_job"].answer == {"item": "job"}
    record = "ArchivedCourseEnrollment"
    changed = DEFAULT.with_record(record, **{"user.user_id": "idUser", "learning_plan_id": "lp"})
    keys = changed.records[record]
    assert (keys["user.user_id"], keys["learning_plan_id"]) == ("idUser", "lp")
    assert keys["user.username"] == "username"
    modes = DEFAULT.with_enrollment_mode("re-enroll", "reset").enrollment_mode
    assert modes == {"unenroll": "delete", "re-enroll": "reset"}
    assert from_plain(Contract, to_plain(DEFAULT)) == Contract.default()


UNKNOWN: dict[str, Callable[[], Contract]] = {
    "with_operation: 'nope' is unknown; expected one of: token, ": (
        lambda: DEFAULT.with_operation("nope", path="/x")
    ),
    "$.operations.get_job.route: unknown; expected one of: meth": (
        lambda: DEFAULT.with_operation("get_job", route="/x")
    ),
    "$.records.User.id: unknown": lambda: DEFAULT.with_record("User", id="x"),
    "with_record: 'user' is unknown; expected": lambda: DEFAULT.with_record("user", user_id="x"),
    "with_record: [] is unknown": lambda: DEFAULT.with_record([], user_id="x"),  # type: ignore[arg-type]
    "with_operation: {} is unknown": lambda: DEFAULT.with_operation({}, path="/x"),  # type: ignore[arg-type]
    "with_enrollment_mode: {} is unknown": lambda: DEFAULT.with_enrollment_mode({}, "x"),  # type: ignore[arg-type]
    "with_enrollment_mode: 'purge' is unknown": lambda: DEFAULT.with_enrollment_mode("purge", "x"),
}


@pytest.mark.parametrize(("text", "change"), UNKNOWN.items())
def test_an_unknown_name_is_refused(text: str, change: Callable[[], Contract]) -> None:
    """The message names those that exist."""
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        change()


class Word(str, Enum):
    """A text that is a member of an enum, as of a `StrEnum` from Python 3.11 on."""

    TEXT = "/login"


@pytest.mark.parametrize("text", [Word.TEXT, np.str_("/login")], ids=["enum", "numpy"])
def test_any_kind_of_text_is_text(text: str) -> None:
    """A value of a subclass of str counts as its text."""
    changes: list[Callable[[Any], Contract]] = [
        lambda value: DEFAULT.with_record("User", username=value),
        lambda value: DEFAULT.with_record("User", username=[value, "name"]),
        lambda value: DEFAULT.with_operation("get_user", path=f"{value[:]}/{{user_id}}"),
        lambda value: DEFAULT.with_operation(
            "get_user", fixed={"a": value}, answer={"item": value}
        ),
        lambda value: DEFAULT.with_enrollment_mode("unenroll", value),
        lambda value: DEFAULT.merged({"operations": {"get_user": {"evidence": value}}}),
    ]
    for change in changes:
        assert repr(change(text)) == repr(change("/login"))
        assert change(text) == change("/login")


def test_a_repr_shows_only_what_differs_from_the_default() -> None:
    """A contract of 22 operations fits on a line, and an override is seen."""
    assert repr(Contract.default()) == "<Contract, default>"
    contract = Contract.default().with_record("CourseEnrollment", score="points")
    assert repr(contract) == (
        "<Contract, default with overrides {'records': {'CourseEnrollment': {'score': 'points'}}}>"
    )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"data": {"items": [1]}}, [1]),
        ({"data": {}}, None),
        ({"data": None}, None),
        (None, None),
        ("data", None),
        ({"data": {"items": "\u00e9"}}, "\u00e9"),
        ({"data": {"items": "a\ud800"}}, "a\\ud800"),
    ],
)
def test_what_an_answer_does_not_hold_is_none(answer: Any, found: Any) -> None:
    """What an answer does not hold is None, whatever is in its place."""
    assert DEFAULT.operations["list_courses"].find(answer, "items") == found
