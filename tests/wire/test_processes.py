"""A process boundary: no connection, lock or token is shared that must not be shared."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from wire_tools import answer, scripted

from lms_archive import ClientCredentials
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


def test_forked_children_read_at_once_with_connections_of_their_own(platform: Sandbox) -> None:
    """Three children of a process whose client was used read what they ask for, at once."""
    with platform.client(calls_per_hour=None) as client:
        assert client.courses.get(1).code == "C1"

        def work(child: int) -> list[str]:
            wanted = range(1 + child, COURSES + 1, 3)
            return [f"{number} {client.courses.get(number).code}" for number in wanted]

        answers = in_children(work)
        texts = sorted(text for answer in answers for text in answer)
        assert texts == sorted(f"{number} C{number}" for number in range(1, COURSES + 1))
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


def test_a_fork_during_a_login_does_not_block_the_child() -> None:
    """A lock that a thread of the parent holds at the fork does not stop the child."""
    asked, go_on = threading.Event(), threading.Event()

    def slow_login(_: object) -> Any:
        if os.getpid() == parent:
            asked.set()
            go_on.wait(20)
        return answer({"access_token": "t", "expires_in": 3600})

    parent = os.getpid()
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
