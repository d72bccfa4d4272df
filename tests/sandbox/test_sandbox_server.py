"""The server: connections, the Date header, swagger, start and stop, and the command."""

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from python_process import run_python
from sandbox_tools import Http, fill, rows
from virtual_time import VirtualTime

from lms_archive.sandbox import Sandbox
from lms_archive.sandbox.__main__ import main
from lms_archive.sandbox.routes import ROUTES


def test_the_only_date_header_comes_from_the_clock(sandbox: Sandbox, clock: VirtualTime) -> None:
    """There is exactly one Date header, and it tells the sandbox's time."""
    clock.sleep(1.9)
    with closing(http.client.HTTPConnection("127.0.0.1", int(sandbox.url[17:]))) as connection:
        connection.request("GET", "/nowhere")
        headers = connection.getresponse().getheaders()
    assert Counter(name for name, _ in headers)["Date"] == 1
    assert dict(headers)["Date"] == "Sun, 01 Mar 2026 12:00:01 GMT"


def test_connections_are_kept_open(lms_sandbox: Sandbox) -> None:
    """Several calls go over one connection, those with a body too."""
    port = int(lms_sandbox.url[17:])
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        sockets = set()
        for method, body in (("GET", None), ("PUT", b'{"course_id": [1]}'), ("HEAD", None)):
            connection.request(method, "/learn/v1/enrollments", body)
            connection.getresponse().read()
            sockets.add(connection.sock)
        for path in ("/oauth2/token", "/nowhere"):
            chunks = iter([b"grant_type=", b"magic"])
            connection.request("POST", path, chunks, encode_chunked=True)
            connection.getresponse().read()
            sockets.add(connection.sock)
    assert len(sockets) == 1


def test_calls_are_recorded_in_order(lms_sandbox: Sandbox) -> None:
    """What was asked is on record: in order, with query, body, status and who."""
    fill(lms_sandbox)
    with Http(lms_sandbox, "power_user") as http_:
        http_.get("/course/v1/courses", page=1, search_text="a b")
        http_.archive([7], [100])
        http_.get("/nowhere")
    token, listed, written, lost = lms_sandbox.calls
    assert (token.operation, token.body, token.username) == ("token", "", None)
    assert (listed.method, listed.path) == ("GET", "/course/v1/courses")
    assert listed.query == (("page", "1"), ("search_text", "a b"))
    assert (listed.operation, listed.status) == ("list_courses", 200)
    assert (written.username, '"delete"' in written.body) == ("power_user", True)
    assert (lost.operation, lost.status) == (None, 404)


def test_every_service_describes_its_own_routes(lms_sandbox: Sandbox) -> None:
    """At the address that the list of services names, with or without a token."""
    described: list[tuple[str, str, str]] = []
    with Http(lms_sandbox) as http_:
        services = http_.get("/manage/v1/site/microservices").json()["data"]
        del http_.session.headers["Authorization"]
        for service in services:
            document = http_.session.get(service["url"], timeout=5).json()
            assert (document["swagger"], document["host"]) == ("2.0", False)
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    whole = document["basePath"] + path
                    described.append((operation["operationId"], method.upper(), whole))
        unknown = http_.get("/audit/v1/swagger")
        refused = http_.get("/manage/v1/site/microservices")
    assert {"app": "learn", "url": f"{lms_sandbox.url}/learn/v1/swagger"} in services
    assert sorted(described) == sorted((r.operation, r.method, r.path) for r in ROUTES)
    assert [unknown.status_code, refused.status_code] == [404, 401]


def test_its_own_file_is_deleted_and_a_given_one_stays(tmp_path: Path) -> None:
    """Without a path nothing is left; with one, the next sandbox goes on from there."""
    with Sandbox() as sandbox:
        own = sandbox.path
    assert not own.parent.exists()
    path = tmp_path / "platform.sqlite"
    with Sandbox(path=path) as sandbox:
        fill(sandbox)
    with Sandbox(path=path) as sandbox:
        assert rows(sandbox, "SELECT COUNT(*) FROM enrollments") == [(6,)]
        assert sandbox.path == path


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """A ledger is one: it is evidence."""
    database, text = tmp_path / "ledger.sqlite", tmp_path / "rows.csv"
    with closing(sqlite3.connect(database)) as other, other:
        other.execute("CREATE TABLE events (event INTEGER PRIMARY KEY)")
    text.write_text("username,course_code\n" * 500, encoding="utf-8")
    before = database.read_bytes(), text.read_bytes()
    with pytest.raises(ValueError, match="it has a table 'events'"):
        Sandbox(path=database).start()
    with pytest.raises(ValueError, match="is not a file of a sandbox"):
        Sandbox(path=text).start()
    assert (database.read_bytes(), text.read_bytes()) == before


def test_a_sandbox_starts_once_and_can_start_again() -> None:
    """A sandbox starts once, stops twice, and can be started again."""
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.url
    with sandbox.start():
        with pytest.raises(RuntimeError, match="already running"):
            sandbox.start()
        sandbox.stop()
    with sandbox:
        assert sandbox.calls == []


def test_a_port_that_is_taken_is_an_error() -> None:
    """A port that is taken is an error, not the end of the program."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RuntimeError, match="port"):
            Sandbox(port=taken.getsockname()[1]).start()


def test_a_missing_extra_is_named_with_the_command_to_type() -> None:
    """Without Werkzeug the error is the line to type."""
    code = "import sys; sys.modules['werkzeug'] = None; from lms_archive.sandbox import Sandbox"
    ran = run_python("-c", code)
    assert "pip install 'lms-archive[sandbox]'" in ran.stderr.splitlines()[-1]


def test_serve_answers_until_it_is_interrupted(tmp_path: Path) -> None:
    """`serve` loads files, prints what to export, answers, and ends at Ctrl-C."""
    users = tmp_path / "users.csv"
    users.write_text("username\nann\n", encoding="utf-8")
    command = [sys.executable, "-m", "lms_archive.sandbox", "serve", "--users", str(users)]
    # In the background of a script Ctrl-C is ignored, and a child would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(  # noqa: S603  # our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        signal.signal(signal.SIGINT, before)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(6)]
        exports = dict(re.findall(r"^export (\w+)=(.*)$", "".join(lines), re.MULTILINE))
        url = exports["LMS_ARCHIVE_URL"]
        with closing(http.client.HTTPConnection("127.0.0.1", int(url[17:]))) as connection:
            connection.request("GET", "/manage/v1/swagger")
            assert connection.getresponse().status == 200
        os.kill(child.pid, signal.SIGINT)
        try:
            said, noise = child.communicate(timeout=60)
        finally:
            child.kill()
    assert len(exports) == 5
    assert (child.returncode, said, noise) == (0, "Stopped.\n", "")


def test_serve_keeps_the_file_at_its_path_and_names_a_file_that_cannot_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is one line."""
    monkeypatch.setattr("lms_archive.sandbox.__main__._wait", lambda: None)
    path, users = tmp_path / "platform.sqlite", tmp_path / "users.csv"
    assert main(["serve", "--path", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    assert path.exists()
    users.write_text("name\nann\n", encoding="utf-8")
    assert main(["serve", "--users", str(users)]) == 1
    assert capsys.readouterr().err.startswith("users.csv, line 2: unknown column 'name'")
