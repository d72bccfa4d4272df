"""The errors: few, with their data on them, and fit to travel."""

import copy
import errno
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from lms_archive import errors
from lms_archive.errors import (
    ApiError,
    InvalidInputError,
    JobTimeoutError,
    LmsArchiveError,
    RunStoppedError,
    TooManyAffectedError,
    UnexpectedResponseError,
)

ALL: dict[str, type[LmsArchiveError]] = {
    name: one
    for name, one in vars(errors).items()
    if inspect.isclass(one) and issubclass(one, LmsArchiveError)
}
API = [one for one in ALL.values() if issubclass(one, ApiError)]


def made(cls: type[LmsArchiveError]) -> LmsArchiveError:
    """An error of that class, with all that its caller may say."""
    values: dict[str, Any] = {
        "message": "what went wrong",
        "method": "GET",
        "path": "/x",
        "why": "it left the list",
        "job_id": "job-1",
        "affected": 12,
        "max_affected": 10,
    }
    if cls.__init__ is LmsArchiveError.__init__:
        return cls("what went wrong")
    needed = [
        values.get(one.name, "something")
        for one in inspect.signature(cls).parameters.values()
        if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty
    ]
    more: dict[str, Any] = {}
    if issubclass(cls, ApiError):
        more = {"status": 418, "advice": "try tea", "retry_after": 3.0, "in_doubt": True}
        if issubclass(cls, UnexpectedResponseError):
            more["faults"] = ["$.a: missing", "$.b: missing"]
        else:
            more["message"] = "I am a teapot"
    elif issubclass(cls, InvalidInputError):
        more = {"source": "in.csv", "line": 3, "column": "user"}
    elif issubclass(cls, RunStoppedError):
        more = {"counts": {"archived": 1}, "seen": ["one", "two"]}
    return cls(*needed, **more)


@pytest.mark.parametrize("cls", ALL.values(), ids=ALL.keys())
def test_an_error_survives_a_pickle(cls: type[LmsArchiveError]) -> None:
    """An error comes out of a worker process with its text, its data and its ledger."""
    error = made(cls)
    assert cls.__name__ in errors.__all__
    assert isinstance(error, LmsArchiveError)
    assert error.ledger is None
    assert str(error)
    error.ledger = Path("job.sqlite")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert type(back) is cls
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.ledger == Path("job.sqlite")


@pytest.mark.parametrize("cls", API, ids=lambda cls: cls.__name__)
def test_a_message_begins_with_method_path_and_status(cls: type[ApiError]) -> None:
    """Method, path and status come first, then the platform's words, then advice."""
    said = "$.a: missing; $.b: missing" if cls is UnexpectedResponseError else "I am a teapot"
    assert str(made(cls)) == f"GET /x: 418: {said} (try tea)"
    assert str(cls("PUT", "/y")) == "PUT /y: no answer"


@pytest.mark.parametrize("cls", API, ids=lambda cls: cls.__name__)
def test_an_api_error_has_its_data(cls: type[ApiError]) -> None:
    """What the message says can be read as data too."""
    error = made(cls)
    assert isinstance(error, ApiError)
    assert (error.method, error.path, error.status) == ("GET", "/x", 418)
    assert (error.retry_after, error.in_doubt) == (3.0, True)
    bare = cls("GET", "/x")
    assert (bare.status, bare.retry_after, bare.in_doubt, bare.message) == (None, None, False, "")


def test_ten_of_many_faults_are_shown() -> None:
    """A hundred faults are kept, and ten of them shown."""
    error = UnexpectedResponseError("GET", "/x", faults=[f"$.{i}: missing" for i in range(100)])
    assert len(error.faults) == 100
    assert str(error).endswith("$.9: missing; and 90 more")


def test_an_input_error_is_a_value_error_with_its_place() -> None:
    """Bad input is what Python calls a `ValueError`, and says where it stands."""
    error = InvalidInputError("no such course", source="in.csv", line=3, column="course_code")
    assert isinstance(error, ValueError)
    assert str(error) == "in.csv, line 3, column 'course_code': no such course"
    assert (error.source, error.line, error.column) == ("in.csv", 3, "course_code")
    assert str(InvalidInputError("plain")) == "plain"
    assert str(InvalidInputError("early", line=0)) == "line 0: early"


def test_too_many_affected_names_both_numbers() -> None:
    """Too many says how many, how many were allowed, and that nothing was sent."""
    error = TooManyAffectedError(12_345, 5_000)
    assert (error.affected, error.max_affected) == (12_345, 5_000)
    assert "12,345" in str(error)
    assert "5,000" in str(error)
    assert "nothing was sent" in str(error)


def test_a_job_timeout_names_the_job() -> None:
    """A lost job is named, and nothing is claimed about its rows."""
    error = JobTimeoutError("abc", "background job abc has not ended")
    assert error.job_id == "abc"
    assert str(error).startswith("background job abc has not ended. ")
    assert "unknown until resume()" in str(error)


def test_a_stop_carries_its_counts() -> None:
    """A stop carries counts and what was seen, apart from the lists they came from."""
    counts, seen = {"archived": 1}, ["one"]
    error = RunStoppedError("stopped", counts=counts, seen=seen)
    counts.clear()
    seen.clear()
    assert (error.counts, error.seen) == ({"archived": 1}, ("one",))
    assert str(error) == "stopped\n  one"
    assert (RunStoppedError("x").counts, RunStoppedError("x").seen) == ({}, ())


def test_an_error_of_a_file_keeps_what_the_system_says() -> None:
    """Number, words and file are there for whoever catches an OSError, also after a pickle."""
    try:
        Path("no/such/file").read_bytes()
    except OSError as error:
        ours = errors.InputFileError("cannot be read", source="in.csv", os_error=error)
    for one in (ours, pickle.loads(pickle.dumps(ours)), copy.copy(ours)):  # noqa: S301  our own
        assert isinstance(one, errors.InputFileError)
        assert isinstance(one, OSError)
        assert (one.errno, one.strerror) == (errno.ENOENT, "No such file or directory")
        assert (one.filename, one.source) == ("in.csv", "in.csv")
        assert str(one) == "in.csv: cannot be read"
