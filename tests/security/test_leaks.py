"""No secret stands anywhere but in the auth value it was given in, and in the call it goes out in.

One canary for each kind of secret is looked for in every place that people, logs and files get.
"""

import http.client
import io
import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from canaries import (
    AUTHS,
    SECRETS,
    STAGES,
    chain,
    failures,
    found_in,
    make_client,
    texts_of,
    with_variables,
)
from virtual_time import Stage
from wire_tools import answer, scripted, token

from lms_archive import (
    ArchiveJob,
    Client,
    Contract,
    InvalidInputError,
    Response,
    StaticToken,
)
from lms_archive.wire.contract import Request
from lms_archive.wire.settings import Settings


class _Records(logging.Handler):
    """Keeps every record, and the text that a log file would hold of it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.texts.append(logging.Formatter().format(record))


@define
class Seen:
    """What was to be seen while every stage failed with every login."""

    errors: list[tuple[str, BaseException]]
    log: _Records
    printed: str


@pytest.fixture(scope="module")
def failed() -> Seen:
    """Every way to fail, once, with all logs at DEBUG and http.client printing what it sends."""
    log, printed, root = _Records(), io.StringIO(), logging.getLogger()
    before = root.level
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        patch.setattr(http.client.HTTPConnection, "debuglevel", 2)
        root.addHandler(log)
        root.setLevel(logging.DEBUG)
        try:
            errors = list(failures())
        finally:
            root.removeHandler(log)
            root.setLevel(before)
    assert len(errors) > 4 * len(STAGES)
    return Seen(errors, log, printed.getvalue())


def test_the_search_finds() -> None:
    """The search finds each secret in each form: a search that finds nothing proves nothing."""
    for name, secret in SECRETS.items():
        assert found_in(f"x{secret!r}y") == [name]
        assert found_in(secret.encode("utf-16-le")) == [name]


def _told(error: BaseException) -> Iterator[tuple[str, str | bytes]]:
    yield "a traceback with variables", with_variables(error)
    for one in chain(error):
        yield "repr", repr(one)
        yield "str", str(one)
        yield "attributes", repr(vars(one))
        yield "pickle", pickle.dumps(one)


def test_errors(failed: Seen) -> None:
    """Neither an error nor its causes nor a traceback with variables quotes a secret."""
    leaks = [
        (stage, place, found_in(text))
        for stage, error in failed.errors
        for place, text in _told(error)
        if found_in(text)
    ]
    assert leaks == []


def test_tracebacks_of_rich(failed: Seen) -> None:
    """Nor does the traceback that rich prints, variables and all."""
    console = pytest.importorskip("rich.console").Console(file=io.StringIO(), width=300)
    make = pytest.importorskip("rich.traceback").Traceback.from_exception
    whole: dict[str, Any] = {"locals_max_length": None, "locals_max_string": None}
    some = [error for _, error in failed.errors[::9]]  # it takes a quarter of a second for each
    for error in some:
        console.print(make(type(error), error, error.__traceback__, show_locals=True, **whole))
    text = console.file.getvalue()
    assert text.count("locals") > len(some)
    assert found_in(text) == []


TEST_FILE = """
import pytest
from attrs import define
from canaries import STAGES, fail

@pytest.mark.parametrize("stage", STAGES)
def test_stage(stage):
    fail(stage, "password")
"""


def test_tracebacks_of_pytest(tmp_path: Path) -> None:
    """Nor what pytest prints of a failing test with `--showlocals`, its logs at DEBUG included."""
    (tmp_path / "test_it.py").write_text(TEST_FILE)
    here = Path(__file__).parent
    (tmp_path / "conftest.py").write_text(
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]"
    )
    options = ["--showlocals", "--tb=long", "-vv", "-rA", "--log-level=DEBUG", "--full-trace"]
    done = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert " failed" in done.stdout
    assert done.stdout.count("client     = Client(") > 30
    assert "Starting new HTTP connection" in done.stdout
    assert found_in(done.stdout + done.stderr) == []


def test_logs_and_debug_prints(failed: Seen) -> None:
    """No record of any logger at DEBUG, and nothing that http.client prints at its debug level."""
    assert sum(record.name.startswith("urllib3") for record in failed.log.records) > 100
    assert found_in("\n".join(failed.log.texts)) == []
    assert found_in("".join(repr(vars(record)) for record in failed.log.records)) == []
    assert found_in(failed.printed) == []


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, RuntimeError, TimeoutError])
def test_whatever_breaks_in_a_transport(auth: str, kind: type[BaseException]) -> None:
    """A Ctrl-C or a fault in a transport of one's own: the frames it comes through tell nothing."""

    def broken(
        method: str, url: str, headers: Any, params: Any, body: bytes | None, timeout: Any
    ) -> Response:
        if url.endswith("/token"):
            return token(SECRETS["token"], refresh_token=SECRETS["refresh token"])
        shown = f"{method} {dict(headers)} {params} {body!r} {timeout}"
        raise kind from OSError(shown) if kind is TimeoutError else None

    client = make_client("https://acme.example.com", auth, transport=broken)
    with pytest.raises(BaseException) as caught:  # noqa: PT011  whatever it is
        client.request("PUT", "/x", json={"a": 1})
    text = with_variables(caught.value)
    assert "in broken" in text or kind is TimeoutError
    assert found_in(text) == []


def test_the_callers_variables_stay() -> None:
    """What the caller was handling when it called keeps its own variables."""

    def theirs() -> None:
        precious = "kept"
        raise LookupError(f"no {precious}")

    client = make_client("https://acme.example.com", "password", transport=_refusing)

    def ours() -> None:
        try:
            theirs()
        except LookupError:
            client.request("GET", "/x")

    with pytest.raises(Exception, match="gone") as caught:
        ours()
    assert "precious = 'kept'" in with_variables(caught.value)
    assert "in _exchange" in with_variables(caught.value)


def _refusing(*_: Any) -> Response:
    raise OSError("gone")


def test_a_malformed_token_is_not_shown() -> None:
    """A token that no header takes, and a token in place of an auth value, are not quoted."""
    with pytest.raises(InvalidInputError) as caught:
        StaticToken(f"{SECRETS['fixed token']} x")
    assert found_in(with_variables(caught.value)) == []
    with pytest.raises(InvalidInputError, match="auth is a PasswordGrant") as caught:
        Client("https://acme.example.com", SECRETS["fixed token"])  # type: ignore[arg-type]
    assert found_in(str(caught.value) + repr(caught.value)) == []


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("not an address", ""),
        ("http://acme.example.com", ""),
        ("", ""),
        ("https://a.example", " x"),
    ],
)
def test_from_env_with_something_wrong(
    monkeypatch: pytest.MonkeyPatch, url: str, more: str
) -> None:
    """An environment that makes no client is told without what is secret in it."""
    names = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")
    for name in names:
        monkeypatch.setenv(f"LMS_ARCHIVE_{name}", SECRETS["client secret"])
    monkeypatch.setenv("LMS_ARCHIVE_URL", url)
    monkeypatch.setenv("LMS_ARCHIVE_TOKEN", f"{SECRETS['token']}{more}")
    with pytest.raises(InvalidInputError) as caught:
        Client.from_env()
    assert found_in(with_variables(caught.value)) == []
    monkeypatch.delenv("LMS_ARCHIVE_TOKEN")
    if not url:
        with pytest.raises(InvalidInputError) as caught:
            Client.from_env()
        assert found_in(with_variables(caught.value)) == []


# Objects


def _objects(stage: Stage) -> dict[str, object]:
    """Everything public that a job meets, and what is inside a client."""
    client = stage.client
    job = ArchiveJob.for_course(1, mode="unenroll", reset_tracking=False).users([1001, 9])
    plan = job.plan(client)
    result = plan.apply(client, ledger=stage.ledger)
    outcome = next(iter(result.outcomes))
    return {
        "job": job,
        "plan": plan,
        "chunk": plan.chunks[0],
        "skipped": plan.skipped,
        "result": result,
        "outcomes": result.outcomes,
        "outcome": outcome,
        "record": outcome.record,
        "user": next(iter(client.users.list())),
        "course": next(iter(client.courses.list())),
        "enrollments": list(client.enrollments.in_course(1)),
        "jobs": list(client.background_jobs.list()),
        "contract": Contract.default(),
        "report": client.verify_contract(["get_job"]),
        "answer": Response(200, {"X": SECRETS["token"]}, SECRETS["token"].encode()),
    }


@pytest.fixture
def seen(stage: Stage) -> dict[str, object]:
    """The objects of a whole job whose client has logged in with canaries."""
    stage.load(3)
    stage.client = stage.time.wire(
        Client(
            stage.sandbox.url,
            AUTHS["password"],
            calls_per_hour=None,
            transport=_CanaryLine(stage),
        )
    )
    return _objects(stage)


class _CanaryLine:
    """Logs in with canaries, where the sandbox gets its own; sends the token back in every item."""

    def __init__(self, stage: Stage) -> None:
        self._line = stage.line
        with stage.sandbox.client() as inside:
            list(inside.courses.list())
            self._bearer = inside.wire._line.tokens.token(lambda _: {})

    def __call__(
        self, method: str, url: str, headers: Any, params: Any, body: Any, timeout: Any
    ) -> Response:
        if url.endswith("/oauth2/token"):
            return token(SECRETS["token"], refresh_token=SECRETS["refresh token"])
        assert headers["Authorization"] == f"Bearer {SECRETS['token']}"
        inner = {**headers, "Authorization": f"Bearer {self._bearer}"}
        found = self._line(method, url, inner, params, body, timeout)
        echo = f'"you_sent": "{SECRETS["token"]}", '.encode()
        body = found.body.replace(b'"user_id":', echo + b'"user_id":')
        return Response(found.status, found.headers, body)


def test_objects(stage: Stage, seen: dict[str, object]) -> None:
    """No object that is printed shows a secret, a client and what it is made of included."""
    assert SECRETS["token"] in stage.client.wire._line.tokens._token  # type: ignore[operator]
    inside = {
        "client": stage.client,
        "wire": stage.client.wire,
        "settings": stage.client.wire.settings,
        "line": stage.client.wire._line,
        "keeper": stage.client.wire._line.tokens,
        "request": Request("POST", "/x", form=(("password", SECRETS["password"]),)),
        "resources": [stage.client.courses, stage.client.archived, stage.client.users],
        **{f"auth: {name}": auth for name, auth in AUTHS.items()},
        **{f"client: {name}": Client("https://a.example.com", one) for name, one in AUTHS.items()},
    }
    for name, one in {**seen, **inside}.items():
        for place, text in texts_of(one).items():
            assert found_in(text) == [], (name, place)


def test_pickles(seen: dict[str, object]) -> None:
    """Nothing but a client and an auth value is pickled with a secret in it."""
    for name, one in seen.items():
        if name != "answer":
            assert found_in(pickle.dumps(one)) == [], name


def test_files(stage: Stage, seen: dict[str, Any], tmp_path: Path) -> None:
    """Plan file, plan CSV, outcome CSV, ledger and all that lies beside it hold no secret.

    Even where the platform sends the token back in each of its answers.
    """
    seen["plan"].save(tmp_path / "plan.json")
    seen["plan"].to_csv(tmp_path / "plan.csv")
    seen["result"].to_csv(tmp_path / "outcome.csv")
    files = sorted(path for path in tmp_path.iterdir() if path.is_file())
    names = {path.name for path in files}
    assert {"ledger.sqlite", "plan.json", "plan.csv", "outcome.csv"} <= names
    assert [path.name for path in files if found_in(path.read_bytes())] == []
    assert b"you_sent" in stage.ledger.read_bytes()  # it did send it


def test_the_ledger_while_it_is_written(stage: Stage) -> None:
    """The write-ahead log, too, holds no secret while a job runs and after it broke off."""
    stage.load(3)
    env = stage.sandbox.env()
    names = ("LMS_ARCHIVE_CLIENT_SECRET", "LMS_ARCHIVE_PASSWORD")
    looked: list[str] = []

    def look(_: object) -> None:
        held = [env[name] for name in names] + [str(stage.client.wire._line.tokens._token)]
        for path in stage.folder.glob("ledger.sqlite*"):
            looked.append(path.name)
            assert not [one for one in held if one.encode() in path.read_bytes()]

    stage.line.before.append(look)
    stage.check(stage.apply(), archived=3)
    assert "ledger.sqlite-wal" in looked


# Pickled clients


@pytest.mark.parametrize("auth", ["password", "client credentials", "assertion", "made assertion"])
def test_a_pickled_client_logs_in_anew(auth: str) -> None:
    """A pickled client carries its auth value, never a token."""
    good = answer({"data": {"items": [], "has_more_data": False}})
    client, script = scripted(
        good,
        auth=AUTHS[auth],
        tokens=[token(SECRETS["token"], refresh_token=SECRETS["refresh token"])],
    )
    list(client.courses.list())
    assert len(script.logins) == 1
    kept = Client(client.base_url, AUTHS[auth], calls_per_hour=7, app_info="x/1")
    kept._connect(kept.wire.with_settings(kept.wire.settings))
    kept.wire._line.tokens.token(lambda _: {"access_token": SECRETS["token"], "refresh_token": "y"})
    pickled = pickle.dumps(kept)
    assert {"token", "refresh token"}.isdisjoint(found_in(pickled))
    again = pickle.loads(pickled)  # noqa: S301  our own
    assert again.wire.settings == kept.wire.settings
    assert again.wire._line.tokens._token is None
    assert again.courses._wire is again.wire


def test_a_pickled_client_works(stage: Stage) -> None:
    """What comes out of a pickle plans and archives; a result's pickle has no client."""
    stage.load(2)
    env = stage.sandbox.env()
    with stage.sandbox.client(calls_per_hour=None) as client:
        again: Client = pickle.loads(pickle.dumps(client))  # noqa: S301  our own
    with again:
        assert [course.code for course in again.courses.list()] == ["C1"]
        resource = pickle.loads(pickle.dumps(again.courses))  # noqa: S301  our own
        assert [course.code for course in resource.list()] == ["C1"]
        plan = pickle.loads(pickle.dumps(stage.job().plan(again)))  # noqa: S301  our own
    result = plan.apply(stage.client, ledger=stage.ledger)
    kept = pickle.dumps(result)
    assert env["LMS_ARCHIVE_PASSWORD"].encode() not in kept
    assert pickle.loads(kept).counts == result.counts  # noqa: S301  our own
    with pytest.raises(InvalidInputError, match="has no client"):
        pickle.loads(kept).save_certificates(stage.folder)  # noqa: S301  our own


def _set(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"LMS_ARCHIVE_{name}", raising=False)
    for name, value in values.items():
        monkeypatch.setenv(f"LMS_ARCHIVE_{name}", value)


def test_a_client_of_the_environment_carries_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by `from_env`, it is pickled without address and login; they are read again."""
    _set(monkeypatch, URL="https://one.example.com", TOKEN=SECRETS["fixed token"])
    client = Client.from_env(calls_per_hour=9)
    pickled, copied = pickle.dumps(client), pickle.dumps(client.with_options(calls_per_hour=8))
    assert found_in(pickled + copied) == []
    assert b"one.example.com" not in pickled
    login = {"CLIENT_ID": "i", "CLIENT_SECRET": "s", "USERNAME": "u", "PASSWORD": "p"}
    _set(monkeypatch, URL="https://two.example.com", **login)
    again = pickle.loads(pickled)  # noqa: S301  our own
    assert repr(again) == (
        "Client('https://two.example.com', PasswordGrant(client_id='i', username='u'))"
    )
    assert again.wire.settings.calls_per_hour == 9
    assert pickle.loads(copied).wire.settings.calls_per_hour == 8  # noqa: S301  our own
    _set(monkeypatch)
    with pytest.raises(InvalidInputError, match="LMS_ARCHIVE_URL, LMS_ARCHIVE_CLIENT_ID"):
        pickle.loads(pickled)  # noqa: S301  our own


def test_what_the_environment_did_not_say_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address given to `from_env`, and a login given later, go with the pickle."""
    _set(monkeypatch, TOKEN=SECRETS["fixed token"])
    client = Client.from_env(base_url="https://one.example.com")
    other = client.with_options(auth=AUTHS["client credentials"])
    pickled = pickle.dumps(other)
    assert found_in(pickle.dumps(client)) == []
    _set(monkeypatch)
    again = pickle.loads(pickled)  # noqa: S301  our own
    assert again.base_url == "https://one.example.com"
    assert again.wire.settings.auth == AUTHS["client credentials"]


@pytest.mark.parametrize("name", ["transport", "auth"])
def test_what_cannot_be_pickled_is_named(name: str) -> None:
    """A transport, or an assertion's callable, that no pickle takes is named; nothing is quoted."""
    auth: Any = AUTHS["password"]
    if name == "auth":
        from lms_archive import JwtBearer  # noqa: PLC0415  only here

        auth = JwtBearer("app", SECRETS["client secret"], lambda: SECRETS["assertion"])
    options: dict[str, Any] = {"transport": lambda *_: answer()} if name == "transport" else {}
    client = Client("https://acme.example.com", auth, **options)
    with pytest.raises(
        InvalidInputError, match=f"a client with this {name} cannot be pickled"
    ) as caught:
        pickle.dumps(client)
    assert found_in(with_variables(caught.value)) == []


def test_a_clock_that_cannot_be_pickled(stage: Stage) -> None:
    """Nor can a client in a time of its own, and it says so."""
    client = stage.time.wire(Client(stage.sandbox.url, AUTHS["password"]))
    with pytest.raises(InvalidInputError, match="a client with this clock cannot be pickled"):
        pickle.dumps(client)


@pytest.mark.parametrize("auth", ["password", "client credentials", "assertion", "fixed token"])
def test_pickled_auths(auth: str) -> None:
    """An auth value comes out of a pickle as it was."""
    assert pickle.loads(pickle.dumps(AUTHS[auth])) == AUTHS[auth]  # noqa: S301  our own


def test_settings_are_told_without_secrets() -> None:
    """Settings, printed, show who calls and not with what."""
    settings = Client("https://acme.example.com", AUTHS["password"]).wire.settings
    assert isinstance(settings, Settings)
    assert "username='ada'" in repr(settings)
    assert found_in(repr(settings)) == []
