"""The builders: frozen jobs, each on terms that were decided."""

import io
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archive_tools import MakeCsv, asked, for_course, from_csv, from_rows, given, planned
from attrs.exceptions import FrozenInstanceError

from lms_archive import ArchiveJob, Client, InvalidInputError
from lms_archive.archive import Target
from lms_archive.records import ArchiveMode, EnrollmentStatus, User

ANY = (EnrollmentStatus.COMPLETED, EnrollmentStatus.ENROLLED, EnrollmentStatus.IN_PROGRESS)


def test_an_int_is_an_id_and_a_str_a_name() -> None:
    """So it is for targets and users, whatever the text looks like; a record is both."""
    by_id = for_course(71).users([101, "101", User(user_id=7, username="ada")])
    by_code = for_course("71").users(user for user in ("007", 7))
    assert asked(by_id) == [(71, None, 101), (71, None, "101"), (71, None, (7, "ada"))]
    assert asked(by_code) == [(None, "71", "007"), (None, "71", 7)]
    assert by_code.target == Target("course", code="71")
    assert [str(for_course(value).target) for value in (71, "71")] == ["course 71", "course '71'"]


def test_what_was_given_is_kept() -> None:
    """A row shows its target and user under the names of the CSV."""
    job = for_course("SAFE").users(["alice", 101])
    assert given(job) == [
        {"course_code": "SAFE", "user_id": None, "username": "alice"},
        {"course_code": "SAFE", "user_id": 101, "username": None},
    ]
    assert [row.line for row in job.selection] == [None, None]


def test_builders_return_a_new_job() -> None:
    """No job changes: `.users` and `+` return another one."""
    course = for_course("SAFE")
    some = course.users(["alice"])
    more = some.users(["bob"])
    assert [job.row_count for job in (course, some, more, some + more)] == [0, 1, 2, 3]
    with pytest.raises(FrozenInstanceError):
        some.target = None  # type: ignore[misc]


def test_users_of_pandas_and_numpy() -> None:
    """A column of ids is what a notebook has at hand: numpy's whole numbers are ids."""
    frame = pd.DataFrame({"user_id": [101, 102], "username": ["alice", "007"]})
    with_gap = pd.Series([101, None])
    assert asked(for_course(np.int64(71)).users(frame["user_id"].to_numpy())) == [
        (71, None, 101),
        (71, None, 102),
    ]
    assert asked(for_course("SAFE").users(frame["username"]))[1] == (None, "SAFE", "007")
    assert asked(for_course(71).users(with_gap)) == [(71, None, 101), ("bad_row",)]


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("", "no user"),
        ("x" * 501, "username has 501 characters"),
        ("al\0ice", "username contains a NUL byte"),
        ("alice\ud83d", "username contains an incomplete character"),
        (None, "no user"),
        (True, "user_id True is not an id"),
        (0, "user_id 0 is not an id"),
        (-5, "user_id -5 is not an id"),
        (10**18, "is not an id"),
        (7.5, "user_id 7.5 is not an id"),
        (float(2**55), "is not an id"),
        (("alice",), "user_id ('alice',) is not an id"),
    ],
    ids=repr,
)
def test_bad_user(user: Any, reason: str, reader: Client) -> None:
    """A user that cannot be is skipped with the reason; the users beside it are planned."""
    plan = for_course("SAFE").users(["alice", user, 102]).plan(reader)
    assert [user for _, _, user in planned(plan)] == [101, 102]
    (outcome,) = plan.skipped
    assert outcome.code == "bad_row"
    assert reason in outcome.reason


@pytest.mark.parametrize(
    "target", ["", None, True, 7.5, 0, -1, "x" * 501, "S\0", b"S", ()], ids=repr
)
def test_bad_target(target: Any) -> None:
    """A target that is neither id nor code is refused."""
    words = r"a course is an id \(int\) or a code \(str\), not"
    with pytest.raises(InvalidInputError, match=words):
        for_course(target)


def test_users_need_a_target() -> None:
    """`.users` after rows that name their own targets is refused."""
    job = from_rows([{"username": "alice", "course_code": "SAFE"}])
    with pytest.raises(InvalidInputError, match=r"this job has no course or learning plan"):
        job.users(["bob"])


def test_no_selection(reader: Client) -> None:
    """A job that says nothing about users is not planned, and not added."""
    with pytest.raises(InvalidInputError, match=r"no selection: add one with \.users"):
        for_course("SAFE").plan(reader)
    with pytest.raises(InvalidInputError, match=r"without a selection cannot be added"):
        for_course("SAFE") + for_course("FIRE").users(["alice"])


def test_no_users_at_all(reader: Client) -> None:
    """An empty list is a selection: a night on which nobody is inactive is no error."""
    plan = for_course("SAFE").users([]).plan(reader)
    assert plan.counts == {"rows": 0, "to_archive": 0, "skipped": 0, "chunks": 0}
    assert plan.calls == {}
    assert "Nothing to archive." in str(plan)


def test_jobs_are_added(make_csv: MakeCsv, reader: Client) -> None:
    """The rows of both, the first's first; what both ask for is archived once."""
    path = make_csv("username,course_code\nalice,FIRE\nbob,FIRE\n")
    job = for_course(72).users(["bob"]) + from_csv(path) + for_course("SAFE").users([103])
    plan = job.plan(reader)
    assert job.row_count == 4
    assert planned(plan) == [(None, 72, 102), (2, 72, 101), (None, 71, 103)]
    assert [(outcome.code, outcome.line, outcome.reason) for outcome in plan.skipped] == [
        ("duplicate", 3, "same enrollment as row 0: archived only once")
    ]
    assert [row.index for row in job.selection] == [0, 1, 2, 3]
    assert [job.selection[i] for i in range(4)] == list(job.selection)
    with pytest.raises(IndexError):
        job.selection[4]


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"reset_tracking": True}, "reset_tracking is False here, True there"),
        ({"only": "any"}, "only is completed here, completed or enrolled or in_progress there"),
        ({"include_staff": True}, "include_staff is False here, True there"),
    ],
    ids=str,
)
def test_unlike_jobs_are_not_added(terms: dict[str, Any], words: str) -> None:
    """Jobs on different terms are not added; the message says in what they differ."""
    with pytest.raises(InvalidInputError) as caught:
        for_course(71).users([1]) + for_course(71, **terms).users([2])
    assert str(caught.value) == f"only jobs with equal terms can be added; {words}"


@pytest.mark.parametrize(
    ("only", "statuses"),
    [
        ("completed", (EnrollmentStatus.COMPLETED,)),
        (EnrollmentStatus.ENROLLED, (EnrollmentStatus.ENROLLED,)),
        (["in_progress", "completed", "completed"], (ANY[0], ANY[2])),
        ({"subscribed"}, (EnrollmentStatus.ENROLLED,)),
        ("any", ANY),
        (["any"], ANY),
    ],
    ids=str,
)
def test_only(only: str | Iterable[str], statuses: tuple[EnrollmentStatus, ...]) -> None:
    """`only` is a word, several, or "any"; the order does not matter."""
    assert for_course(71, only=only).terms.only == statuses


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"mode": "delete"}, "mode must be 'unenroll' or 're-enroll', not 'delete'"),
        ({"mode": None}, "mode must be 'unenroll' or 're-enroll', not None"),
        ({"reset_tracking": None}, "reset_tracking must be True or False, not None"),
        ({"reset_tracking": 0}, "reset_tracking must be True or False, not 0"),
        ({"include_staff": "no"}, "include_staff must be True or False, not 'no'"),
        ({"only": "waiting"}, "only='waiting' is not possible: give 'completed', 'enrolled'"),
        ({"only": "Completed"}, "only='Completed' is not possible: give"),
        ({"only": ["completed", "any"]}, "only='any' is not possible: give"),
        ({"only": []}, "only is empty"),
        ({"only": {"completed": False}}, "only={'completed': False} is not possible: give"),
        ({"only": b"completed"}, "only=b'completed' is not possible: give"),
        ({"only": None}, "only=None is not possible: give"),
        ({"only": 1}, "only=1 is not possible: give"),
        ({"only": "0"}, "only='0' is not possible: give"),
    ],
    ids=str,
)
def test_bad_terms(terms: dict[str, Any], words: str, make_csv: MakeCsv) -> None:
    """Every builder refuses terms that cannot be, before it reads anything."""
    missing = make_csv("").with_name("none.csv")
    builders: list[tuple[Callable[..., ArchiveJob], Any]]
    builders = [(for_course, 71), (from_rows, []), (from_csv, missing)]
    for build, what in builders:
        with pytest.raises(InvalidInputError) as caught:
            build(what, **terms)
        assert words in str(caught.value)


def test_reset_tracking_is_a_decision() -> None:
    """It has no default: without it, Python itself refuses the call."""
    with pytest.raises(TypeError, match="reset_tracking"):
        ArchiveJob.for_course(71, mode="unenroll")  # type: ignore[call-arg]


def test_a_misspelt_option_is_named_with_the_one_that_is_like_it() -> None:
    """It is named first, although `reset_tracking` is missing too."""
    build: Any = ArchiveJob.for_course
    text = r"unexpected keyword argument 'reset_trackng'; did you mean 'reset_tracking'\?$"
    with pytest.raises(TypeError, match=text):
        build(71, mode="unenroll", reset_trackng=False)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'zzz'$"):
        build(71, mode="unenroll", reset_tracking=False, zzz=1)


def test_mode_is_a_word_or_its_enum() -> None:
    """`"unenroll"` and `ArchiveMode.UNENROLL` are the same terms."""
    assert for_course(71, mode=ArchiveMode.UNENROLL).terms == for_course(71).terms


def test_staff_and_statuses_on_request(reader: Client) -> None:
    """`include_staff` and `only` take what is left alone otherwise, and nothing beyond."""
    people = ["alice", "tina", "ivan", "paul", "nora", "wanda", "sam", "zelda"]
    job = for_course("SAFE", only="any", include_staff=True).users(people)
    plan = job.plan(reader)
    assert [user for _, _, user in planned(plan)] == [101, 201, 202, 203, 204]
    assert {outcome.user: outcome.code for outcome in plan.skipped} == dict.fromkeys(
        ("wanda", "sam", "zelda"), "not_enrolled"
    )
    assert "2 enrollments are unfinished: archiving removes the progress" in plan.warnings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"skip_archived_within": 30},
            "skip_archived_within must be a timedelta of at least 0, not 30",
        ),
        ({"skip_archived_within": None}, "a timedelta of at least 0, not None"),
        ({"skip_archived_within": timedelta(days=-1)}, "a timedelta of at least 0, not"),
        ({"on_shared": "perhaps"}, "on_shared must be 'skip', 'fail' or 'allow'"),
        ({"on_shared": pd.Series(["skip", "fail"])}, "on_shared must be 'skip', 'fail' or 'allow'"),
        ({"explain": "yes"}, "explain must be True or False"),
    ],
)
def test_wrong_options_of_a_plan(reader: Client, options: dict[str, Any], message: str) -> None:
    """What would switch a guard off by mistake is refused before anything is read."""
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        for_course("SAFE").users(["alice"]).plan(reader, **options)


def test_a_wrong_form_is_refused() -> None:
    """A job has one of two forms; a misspelt one is refused before anything is read."""
    with pytest.raises(InvalidInputError, match="form must be 'hand_picked' or 'select_all', not"):
        for_course("SAFE").all_enrollments(form="all")  # type: ignore[arg-type]


def test_a_job_is_true_whatever_it_asks_for() -> None:
    """How many rows it has may be known by the plan only; that is not none."""
    course = for_course("SAFE")
    everyone = course.all_enrollments()
    assert [bool(job) for job in (course, everyone, course.users([]))] == [True] * 3
    assert (everyone.row_count, (everyone + course.users(["ada"])).row_count) == (None, None)
    with pytest.raises(TypeError):
        len(everyone)  # type: ignore[arg-type]


def test_jobs_are_summed(reader: Client) -> None:
    """`sum` begins with 0; a job plus anything else is a TypeError, as everywhere."""
    jobs = [for_course(72).users(["bob"]), for_course("SAFE").users([103])]
    total = sum(jobs)
    assert isinstance(total, ArchiveJob)
    assert planned(total.plan(reader)) == [(None, 72, 102), (None, 71, 103)]
    others: list[Any] = [1, 0.0, False, None, "", []]
    for other in others:
        with pytest.raises(TypeError):
            other + jobs[0]
        with pytest.raises(TypeError):
            jobs[0] + other


def test_repr_says_what_a_job_asks_for(make_csv: MakeCsv) -> None:
    """Mode, how many rows, and of what; never a name of a user."""
    rows = "".join(f"u{number},SAFE\n" for number in range(2108))
    file = from_csv(make_csv(f"username,course_code\n{rows}"))
    course = for_course("SAFE")
    both = course.users(["ada"]) + file
    assert repr(file) == "<ArchiveJob unenroll, 2,108 rows of input.csv>"
    assert repr(course) == "<ArchiveJob unenroll, no selection yet in course 'SAFE'>"
    assert repr(both) == "<ArchiveJob unenroll, 1 row of course 'SAFE' + 2,108 rows of input.csv>"
    assert repr(from_rows([], mode="re-enroll")) == "<ArchiveJob re-enroll, 0 rows>"
    assert repr(for_course(7).all_enrollments(exclude=["ada"])) == (
        "<ArchiveJob unenroll, all enrollments of course 7>"
    )
    assert repr(sum([both, both, both], start=file)).endswith(" + 4 more>")
    assert "\x1b" not in repr(for_course("\x1b[2J").users([1]))


def test_users_given_as_numbers_are_ids_and_the_plan_says_so(reader: Client) -> None:
    """A table makes ints of usernames that are digits: each would be another person."""
    frame = pd.read_csv(io.StringIO("username\n12\n101\n"))
    plan = for_course("SAFE").users(frame["username"]).plan(reader)
    assert [user for _, _, user in planned(plan)] == [12, 101]
    assert plan.warnings[0] == (
        "course 'SAFE': all 2 users are numbers, so they are read as user ids; "
        "if they are usernames, give them as text (str)"
    )
    with_a_gap = pd.Series([12, None, 101])  # floats
    warnings = for_course("SAFE").users(with_a_gap).plan(reader).warnings
    assert "all 2 users are numbers" in warnings[0]
    (warning,) = for_course("SAFE").users([12]).plan(reader).warnings[:1]
    assert "the user is a number, so it is read as a user id" in warning
    lists: list[Any] = [["alice", 12], ["12"], [None], [], reader.users.list()]
    for users in lists:
        warnings = for_course("SAFE").users(users).plan(reader).warnings
        assert "numbers" not in "".join(warnings)


@pytest.mark.parametrize(
    ("column", "cells", "words"),
    [
        ("mode", ["re-enroll", "unenroll"], "says 're-enroll' in 1 row, and this job archives"),
        ("Enrollment Mode", ["re_enroll"] * 2, "in 2 rows, and this job archives and unenrolls"),
        ("reset_tracking", ["TRUE", "no"], "says 'TRUE' in 1 row, and this job keeps the tracking"),
        ("RESET-TRACKING", ["maybe", "1"], "says 'maybe', '1' in 2 rows"),
        ("mode", ["a", "b", "c", "d", ""], "says 'a', 'b', 'c', ... in 4 rows"),
        ("include_staff", ["yes", "no"], "in 1 row, and this job leaves out the staff in every"),
        ("mode", ["unenroll", "delete", "", " UNENROLL "], None),
        ("reset_tracking", ["false", "0", "No", ""], None),
        ("modes", ["re-enroll"], None),
    ],
)
def test_a_column_that_contradicts_the_arguments_is_warned_of(
    column: str, cells: list[str], words: str | None, make_csv: MakeCsv, reader: Client
) -> None:
    """The arguments count for every row; the plan names the column, and what is done instead."""
    lines = "".join(f'alice,SAFE,"{cell}"\n' for cell in cells)
    path = make_csv(f"username,course_code,{column}\n{lines}")
    mappings = [{"username": "alice", "course_code": "SAFE", column: cell} for cell in cells]
    for job in (from_csv(path), from_rows(mappings)):
        warnings = [text for text in job.plan(reader).warnings if "is not read" in text]
        if words is None:
            assert warnings == []
        else:
            (text,) = warnings
            assert text.startswith(f"the column {column!r} is not read")
            assert words in text


@pytest.mark.parametrize("reset", [False, True])
def test_a_flag_of_a_table_is_understood(reader: Client, *, reset: bool) -> None:
    """In a DataFrame a flag is not text."""
    frame = pd.DataFrame({"username": ["alice"], "course_id": [71], "reset_tracking": [True]})
    warnings = from_rows(frame, reset_tracking=reset).plan(reader).warnings
    assert any("reset_tracking" in text for text in warnings) is not reset


def test_titles_above_the_header_are_in_the_plan(make_csv: MakeCsv, reader: Client) -> None:
    """What was passed over is not passed over in silence; a line `sep=;` is."""
    job = from_csv(make_csv("Report\n\nusername,course_code\nalice,SAFE\n"))
    assert job.plan(reader).warnings[0] == (
        "input.csv: line 3 is the header; the titles above it were not read"
    )
    job = from_csv(make_csv("sep=;\nusername;course_code\nalice;SAFE\n"))
    assert not any("titles" in text for text in job.plan(reader).warnings)
