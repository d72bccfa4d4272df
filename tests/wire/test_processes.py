"""A process boundary: no connection, lock or token is shared that must not be shared."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from wire_tools import answer, scripted

from lms_archive import Client
from lms_archive.errors import UnexpectedResponseError
from lms_archive.records import BackgroundJob
from lms_archive.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

COURSES = 40


@pytest.fixture(scope="module")
def platform() -> Iterator[Sandbox]:
    """A platform of forty courses."""
    with Sandbox() as sandbox:
        sandbox.load(courses=[{"id_course": 1 + i, "code": f"C{1 + i}"} for i in range(COURSES)])
        yield sandbox


def in_children(work: Callable[[int], Any], count: int = 3, method: str = "fork") -> list[Any]:
    """What each of some child processes returns, all at work at once."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    context: Any = multiprocessing.get_context(method)
    answers = context.Queue()
    children = [
        context.Process(target=_work, args=(work, number, answers)) for number in range(count)
    ]
    for child in children:
        child.start()
    try:
        return [answers.get(timeout=60) for _ in children]
    finally:
        for child in children:
            child.join(10)
            if child.is_alive():
                child.kill()


def _work(work: Callable[[int], Any], number: int, answers: Any) -> None:
    try:
        answers.put(work(number))
    except BaseException as error:  # noqa: BLE001  whatever it is: the parent shows it
        answers.put(repr(error))


def test_forked_children_get_their_own_answers(platform: Sandbox) -> None:
    """Three children of a process whose client was used read what they ask for, at once."""
    with platform.client(calls_per_hour=None) as client:
        assert client.courses.get(1).code == "C1"

        def work(number: int) -> list[str]:
            wanted = range(1 + number, COURSES + 1, 3)
            return [f"{one} {client.courses.get(one).code}" for one in wanted]

        answers = in_children(work)
        found = sorted(text for answer in answers for text in answer)
        assert found == sorted(f"{one} C{one}" for one in range(1, COURSES + 1))
        assert client.courses.get(2).code == "C2"


def test_a_child_logs_in_by_itself(platform: Sandbox) -> None:
    """A child has neither the parent's token nor its count of the hour's calls."""
    with platform.client(calls_per_hour=100) as client:
        copy = client.with_options(timeout=5)
        client.courses.get(1)
        before = sum(call.operation == "token" for call in platform.calls)

        def work(_: int) -> tuple[int, int | None]:
            left = client.session.calls_left
            client.courses.get(1)
            copy.courses.get(1)  # a copy shares with its original in the child too
            return left or 0, copy.session.calls_left

        assert in_children(work, 2) == [(100, 97)] * 2
        assert sum(call.operation == "token" for call in platform.calls) == before + 2


def test_a_fork_while_a_thread_logs_in() -> None:
    """A lock that a thread of the parent holds at the fork does not stop the child."""
    asked, go_on = threading.Event(), threading.Event()

    def slow_login(_: object) -> Any:
        if os.getpid() == parent:
            asked.set()
            go_on.wait(20)
        return answer({"access_token": "t", "expires_in": 3600})

    parent = os.getpid()
    from lms_archive import ClientCredentials  # noqa: PLC0415  only here

    client, _ = scripted(
        answer({"data": 1}), auth=ClientCredentials("app", "s"), tokens=[slow_login]
    )
    thread = threading.Thread(target=lambda: client.request("GET", "/x"))
    thread.start()
    try:
        assert asked.wait(10)
        assert in_children(lambda _: client.request("GET", "/x"), 1) == [{"data": 1}]
    finally:
        go_on.set()
        thread.join(10)


def test_a_fork_while_the_throttle_is_held() -> None:
    """Nor does the throttle's lock, or the one under which calls are counted."""
    client, _ = scripted(answer({"data": 1}), calls_per_hour=5)
    shared = client.session._shared.get()
    with shared.throttle._history.lock, shared.counting:
        assert in_children(lambda _: client.request("GET", "/x"), 1) == [{"data": 1}]


def test_a_grandchild(platform: Sandbox) -> None:
    """What a child's child inherits is not used either."""
    with platform.client(calls_per_hour=None) as client:
        client.courses.get(1)

        def work(_: int) -> list[str | None]:
            client.courses.get(2)
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.write(write, (client.courses.get(4).code or "").encode())
                os._exit(0)
            mine = client.courses.get(3).code
            os.waitpid(pid, 0)
            return [mine, os.read(read, 10).decode()]

        assert in_children(work, 1) == [["C3", "C4"]]


def read_codes(client: Client, number: int) -> str | None:
    """Read one course."""
    return client.courses.get(1 + number).code


def _spawned(client: Client, number: int, answers: Any) -> None:
    answers.put(read_codes(client, number))


def test_spawned_children(platform: Sandbox) -> None:
    """A client that is pickled for a spawned child works there, with a login of its own."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    with platform.client(calls_per_hour=None) as client:
        client.courses.get(1)
        child = context.Process(target=_spawned, args=(client, 4, answers))
        child.start()
        try:
            assert answers.get(timeout=60) == "C5"
        finally:
            child.join(10)


# An answer about something else

OTHERS: dict[str, tuple[Callable[[Client], object], dict[str, Any]]] = {
    "course": (lambda client: client.courses.get(7), {"data": {"id_course": 9, "name": "C"}}),
    "user": (
        lambda client: client.users.get(7),
        {"data": {"user_data": {"user_id": "9", "username": "eve"}}},
    ),
    "learning plan": (
        lambda client: client.learning_plans.get(7),
        {"data": {"learning_plan_id": 9, "title": "P"}},
    ),
    "job": (
        lambda client: client.background_jobs.get("abc"),
        {"data": {"job_descriptor": {"hash": "def", "name": "x", "status": "queued"}}},
    ),
    "plans of a course": (
        lambda client: client.learning_plans.of_course(7),
        {"data": {"id_course": 9, "name": "C", "learningplans": [{"id": 1}]}},
    ),
}


@pytest.mark.parametrize(("ask", "body"), OTHERS.values(), ids=OTHERS.keys())
def test_an_answer_about_another_id(ask: Callable[[Client], object], body: dict[str, Any]) -> None:
    """`get(id)` never returns another course, user, plan or job than the one asked for."""
    client, _ = scripted(answer(body))
    with pytest.raises(UnexpectedResponseError, match=r"but the answer is about (9|def)$"):
        ask(client)


def test_an_answer_about_the_same_id() -> None:
    """An id may come as text or as a number."""
    client, _ = scripted(answer({"data": {"id_course": "7", "name": "C"}}))
    assert client.courses.get(7).course_id == 7
    job = {"hash": "abc", "name": "x", "status": "queued"}
    client, _ = scripted(answer({"data": {"job_descriptor": job}}))
    assert isinstance(client.background_jobs.get("abc"), BackgroundJob)
