"""No secret is shown anywhere but in the call in which it goes out.

One canary for each kind of secret is looked for in every place that people, logs and files get.
"""

import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from canaries import AUTHS, SECRETS, STAGES, chain, failures, found_in, texts_of
from virtual_time import Harness
from wire_tools import token

from lms_archive import ArchiveJob, Client, Contract, InvalidInputError
from lms_archive.wire import Response
from lms_archive.wire.calls import Request


@define
class Seen:
    """What was to be seen while every stage failed with every login."""

    errors: list[tuple[str, BaseException]]
    log: str


class _Ours(logging.Handler):
    """Keeps the text of every record of this library."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [logging.Formatter().format(record), repr(vars(record))]


@pytest.fixture(scope="module")
def failed() -> Seen:
    """Every way to fail, once, with our logs at DEBUG."""
    handler, logger = _Ours(), logging.getLogger("lms_archive")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        errors = list(failures())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert len(errors) > 4 * len(STAGES)
    return Seen(errors, "\n".join(handler.texts))


def test_the_search_finds_each_secret_in_each_form() -> None:
    """The search finds each secret in each form: a search that finds nothing proves nothing."""
    for name, secret in SECRETS.items():
        assert found_in(f"x{secret!r}y") == [name]
        assert found_in(secret.encode("utf-16-le")) == [name]


def _shown(error: BaseException) -> Iterator[tuple[str, str | bytes]]:
    yield "traceback", "".join(traceback.format_exception(error))
    for link in chain(error):
        yield "repr", repr(link)
        yield "attributes", repr(vars(link))
        yield "pickle", pickle.dumps(link)


def test_no_error_and_no_log_record_quotes_a_secret(failed: Seen) -> None:
    """Neither an error nor its causes, nor its traceback, nor a log record quotes a secret."""
    leaks = [
        (stage, place, found_in(text))
        for stage, error in failed.errors
        for place, text in _shown(error)
        if found_in(text)
    ]
    assert leaks == []
    assert found_in(failed.log) == []


# Objects


def _objects(harness: Harness) -> dict[str, object]:
    """Everything public that a job meets, and what is inside a client."""
    client = harness.client
    job = ArchiveJob.for_course(1, mode="unenroll", reset_tracking=False).users([1001, 9])
    plan = job.plan(client)
    result = plan.apply(client, ledger=harness.ledger)
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
def seen(harness: Harness) -> dict[str, object]:
    """The objects of a whole job whose client has logged in with canaries."""
    harness.load(3)
    url, line = harness.sandbox.url, _CanaryLine(harness)
    client = Client(url, AUTHS["password"], calls_per_hour=None, transport=line)
    harness.client = harness.time.wire(client)
    return _objects(harness)


class _CanaryLine:
    """Logs in with canaries, where the sandbox gets its own; sends the token back in every item."""

    def __init__(self, harness: Harness) -> None:
        self._line = harness.line
        with harness.sandbox.client() as inside:
            list(inside.courses.list())
            self._bearer = inside.session._shared.get().tokens.token(lambda _: {}).reveal()

    def __call__(
        self, method: str, url: str, headers: Any, params: Any, body: Any, timeout: Any
    ) -> Response:
        if url.endswith("/oauth2/token"):
            return token(SECRETS["token"], refresh_token=SECRETS["refresh token"])
        inner = dict(headers)
        if not url.endswith("/swagger"):  # asked for without the token
            assert headers["Authorization"] == f"Bearer {SECRETS['token']}"
            inner["Authorization"] = f"Bearer {self._bearer}"
        answer = self._line(method, url, inner, params, body, timeout)
        echo = f'"you_sent": "{SECRETS["token"]}", '.encode()
        body = answer.body.replace(b'"user_id":', echo + b'"user_id":')
        return Response(answer.status, answer.headers, body)


def test_no_object_that_is_printed_shows_a_secret(
    harness: Harness, seen: dict[str, object]
) -> None:
    """No object that is printed shows a secret, a client and what it is made of included."""
    bearer = harness.client.session._shared.get().tokens.token(lambda _: {})
    assert bearer.reveal() == SECRETS["token"]
    inside = {
        "client": harness.client,
        "wire": harness.client.session,
        "settings": harness.client.session.settings,
        "line": harness.client.session._shared.get(),
        "keeper": harness.client.session._shared.get().tokens,
        "request": Request("POST", "/x", form=(("password", SECRETS["password"]),)),
        "resources": [harness.client.courses, harness.client.archived, harness.client.users],
        **{f"auth: {name}": auth for name, auth in AUTHS.items()},
        **{
            f"client: {name}": Client("https://a.example.com", auth) for name, auth in AUTHS.items()
        },
    }
    for name, value in {**seen, **inside}.items():
        for place, text in texts_of(value).items():
            assert found_in(text) == [], (name, place)


def test_only_clients_and_logins_are_pickled_with_a_secret(seen: dict[str, object]) -> None:
    """Nothing but a client and an auth value is pickled with a secret in it."""
    for name, value in seen.items():
        if name != "answer":
            assert found_in(pickle.dumps(value)) == [], name


def test_no_file_holds_a_secret(harness: Harness, seen: dict[str, Any], tmp_path: Path) -> None:
    """Plan file, plan CSV, outcome CSV, ledger and all that lies beside it hold no secret.

    Even where the platform sends the token back in each of its answers.
    """
    seen["plan"].save(tmp_path / "plan.sqlite")
    seen["plan"].to_csv(tmp_path / "plan.csv")
    seen["result"].to_csv(tmp_path / "outcome.csv")
    files = sorted(path for path in tmp_path.iterdir() if path.is_file())
    names = {path.name for path in files}
    assert {"ledger.sqlite", "plan.sqlite", "plan.csv", "outcome.csv"} <= names
    assert [path.name for path in files if found_in(path.read_bytes())] == []
    assert b"you_sent" in harness.ledger.read_bytes()  # it did send it


# Pickled clients


def test_a_pickled_client_plans_and_a_pickled_result_has_no_client(harness: Harness) -> None:
    """What comes out of a pickle plans and archives; a result's pickle has no client."""
    harness.load(2)
    env = harness.sandbox.env()
    with harness.sandbox.client(calls_per_hour=None) as client:
        list(client.courses.list())
        bearer = client.session._shared.get().tokens.token(lambda _: {}).reveal()
        assert bearer.encode() not in pickle.dumps(client)
        again: Client = pickle.loads(pickle.dumps(client))  # noqa: S301  our own
    with again:
        assert [course.code for course in again.courses.list()] == ["C1"]
        resource = pickle.loads(pickle.dumps(again.courses))  # noqa: S301  our own
        assert [course.code for course in resource.list()] == ["C1"]
        plan = pickle.loads(pickle.dumps(harness.job().plan(again)))  # noqa: S301  our own
    result = plan.apply(harness.client, ledger=harness.ledger)
    kept = pickle.dumps(result)
    assert env["LMS_ARCHIVE_PASSWORD"].encode() not in kept
    assert pickle.loads(kept).counts == result.counts  # noqa: S301  our own
    with pytest.raises(InvalidInputError, match="has no client"):
        pickle.loads(kept).save_certificates(harness.folder)  # noqa: S301  our own


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
    assert again.session.settings.calls_per_hour == 9
    assert pickle.loads(copied).session.settings.calls_per_hour == 8  # noqa: S301  our own
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
    assert again.session.settings.auth == AUTHS["client credentials"]


def test_a_listing_is_not_pickled() -> None:
    """The message says what to do, and quotes no secret."""
    client = Client("https://acme.example.com", AUTHS["password"])
    with pytest.raises(InvalidInputError, match="pickle the client, or list") as caught:
        pickle.dumps(client.courses.list())
    assert found_in(str(caught.value)) == []
