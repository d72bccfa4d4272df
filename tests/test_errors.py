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
    UnconfirmedContractError,
    UnexpectedResponseError,
)

ALL: dict[str, type[LmsArchiveError]] = {
    name: cls
    for name, cls in vars(errors).items()
    if inspect.isclass(cls) and issubclass(cls, LmsArchiveError)
}
API = [cls for cls in ALL.values() if issubclass(cls, ApiError)]
ARGUMENTS: dict[type[LmsArchiveError], tuple[Any, ...]] = {
    JobTimeoutError: ("job-1", "it left the list"),
    TooManyAffectedError: (12, 10),
    UnconfirmedContractError: ("not confirmed", "a report"),
}


def example(cls: type[LmsArchiveError]) -> LmsArchiveError:
    """Return an error of that class with all its data."""
    if issubclass(cls, ApiError):
        details: dict[str, Any] = {"message": "I am a teapot"}
        if issubclass(cls, UnexpectedResponseError):
            details = {"faults": ["$.a: missing", "$.b: missing"]}
        details |= {"status": 418, "advice": "try tea", "retry_after": 3.0, "in_doubt": True}
        return cls("GET", "/x", **details)
    if issubclass(cls, InvalidInputError):
        return cls("what went wrong", source="in.csv", line=3, column="user")
    if issubclass(cls, RunStoppedError):
        return cls("stopped", counts={"archived": 1}, seen=["a", "b"])
    return cls(*ARGUMENTS.get(cls, ("what went wrong",)))


@pytest.mark.parametrize("cls", ALL.values(), ids=ALL.keys())
def test_an_error_is_exported_and_says_something(cls: type[LmsArchiveError]) -> None:
    """Whatever its class, it has a text, and no ledger until a run gives it one."""
    error = example(cls)
    assert cls.__name__ in errors.__all__
    assert str(error)
    assert error.ledger is None


@pytest.mark.parametrize("cls", API, ids=lambda cls: cls.__name__)
def test_an_api_error_begins_with_method_path_and_status(cls: type[ApiError]) -> None:
    """Then come the platform's words, then advice; all of it can be read as data too."""
    error, bare = example(cls), cls("PUT", "/y")
    message = "$.a: missing; $.b: missing" if cls is UnexpectedResponseError else "I am a teapot"
    assert str(error) == f"GET /x: 418: {message} (try tea)"
    assert isinstance(error, ApiError)
    assert (error.method, error.path, error.status) == ("GET", "/x", 418)
    assert (error.retry_after, error.in_doubt) == (3.0, True)
    assert str(bare) == "PUT /y: no answer"
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
    for copied in (ours, pickle.loads(pickle.dumps(ours)), copy.copy(ours)):  # noqa: S301  our own
        assert isinstance(copied, errors.InputFileError)
        assert isinstance(copied, OSError)
        assert (copied.errno, copied.strerror) == (errno.ENOENT, "No such file or directory")
        assert (copied.filename, copied.source) == ("in.csv", "in.csv")
        assert str(copied) == "in.csv: cannot be read"
