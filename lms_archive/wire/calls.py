"""One platform, as calls: contract, login, pace, retry and transport put together."""

from __future__ import annotations

import json
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from attrs import field, frozen

from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    PlatformUnavailableError,
    RateLimitError,
    UnexpectedResponseError,
)
from lms_archive.records.convert import Structurer
from lms_archive.wire.answers import Reply, read_answer
from lms_archive.wire.auth import TokenKeeper, is_token
from lms_archive.wire.clock import Clock
from lms_archive.wire.contract import Operation, Request
from lms_archive.wire.described import Described
from lms_archive.wire.hiding import forget_variables, forms_of, one_line
from lms_archive.wire.retry import with_retry
from lms_archive.wire.settings import Settings, check_pickled
from lms_archive.wire.throttle import Throttle
from lms_archive.wire.transport import RequestNotSentError, RequestsTransport, Transport

__all__ = ["Wire"]

_SECRET = ("client_secret", "password", "assertion", "refresh_token")
_NOT_SENT = (RequestNotSentError, ConnectionRefusedError, socket.gaierror)


def _wire(settings: Settings, clock: Clock) -> Wire:
    return Wire(settings, clock=clock)


@frozen
class Line:
    """What the copies of a client share: connections, the hour's calls, token, swagger."""

    transport: Transport
    throttle: Throttle
    tokens: TokenKeeper
    documents: dict[str, tuple[Described, ...] | str] = field(factory=dict, repr=False)

    @classmethod
    def open(cls, settings: Settings, clock: Clock) -> Line:
        """A line of its own."""
        return cls(
            settings.transport or RequestsTransport(),
            Throttle(settings.calls_per_hour, clock),
            TokenKeeper(settings.auth, clock),
        )

    def changed(self, old: Settings, new: Settings, clock: Clock) -> Line:
        """This line for a copy with other settings; what they do not touch stays shared."""
        fresh = Line.open(new, clock)
        same_way, same_account = new.transport is old.transport, new.auth == old.auth
        return Line(
            self.transport if same_way else fresh.transport,
            self.throttle.with_limit(new.calls_per_hour),
            self.tokens if same_account else fresh.tokens,
            self.documents if same_way and same_account else fresh.documents,
        )


class Wire:
    """Makes the calls of the contract; counts them in `calls`, by operation.

    Args:
        settings: what the client was told.
        clock: how time passes.
        line: what is shared with other wires of the same platform.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, line: Line | None = None
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or Clock()
        self.calls: Counter[str] = Counter()
        self.structure: Structurer = Structurer(settings.contract.records)
        self._line = line or Line.open(settings, self.clock)
        self._date: datetime | None = None

    def with_settings(self, settings: Settings) -> Wire:
        """A wire with other settings and counts of its own, on the same line."""
        line = self._line.changed(self.settings, settings, self.clock)
        return Wire(settings, clock=self.clock, line=line)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without what it shares: neither token nor connections nor the hour's calls."""
        check_pickled("clock", self.clock)
        return _wire, (self.settings, self.clock)

    def operation(self, name: str) -> Operation:
        """The contract's row of that name."""
        return self.settings.contract.operations[name]

    def call(self, name: str, **given: Any) -> Reply:
        """Make a call of the contract, its parameters by our words.

        Raises:
            ApiError: it failed after all tries that are safe, or was refused.
        """
        return self.send(self.operation(name).request(**given), name)

    def send(self, request: Request, name: str = "request", *, repeat: bool = True) -> Reply:
        """Send a request; `repeat=False` sends it at most once."""
        handled = sys.exc_info()[1]
        try:
            if not repeat:
                return self._with_token(request, name)
            return with_retry(
                lambda: self._with_token(request, name),
                self.settings.retry,
                is_write=request.is_write,
                clock=self.clock,
            )
        except BaseException as error:
            forget_variables(error, handled)
            raise

    @property
    def documents(self) -> dict[str, tuple[Described, ...] | str]:
        """The platform's swagger by path, as far as it was read on this line, or why it was not."""
        return self._line.documents

    def expect(self, calls: int) -> None:
        """So many calls are to come from this wire: the throttle spreads them if need be."""
        self._line.throttle.expect(calls)

    def platform_time(self) -> datetime:
        """The platform's clock (UTC) at its last good answer to this wire.

        Raises:
            UnexpectedResponseError: no answer has told the time.
        """
        if self._date is None:
            faults = ["no Date header: nothing can be proven without"]
            raise UnexpectedResponseError("GET", self.settings.base_url, faults=faults)
        return self._date

    @property
    def calls_left(self) -> int | None:
        """Calls left of the hour's budget, or None where nothing limits them."""
        return self._line.throttle.left

    def close(self) -> None:
        """Close the connections, where the transport has any."""
        close = getattr(self._line.transport, "close", None)
        if close is not None:
            close()

    def _with_token(self, request: Request, name: str) -> Reply:
        token = self._line.tokens.token(self._fetch_token)
        try:
            return self._exchange(request, name, token)
        except AuthenticationError:
            if not self._line.tokens.renewable:
                raise
        return self._exchange(
            request, name, self._line.tokens.token(self._fetch_token, rejected=token)
        )

    def _fetch_token(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        row = self.operation("token")
        request = Request(row.method, row.path, form=tuple(form.items()))
        try:
            data = self._exchange(request, "token", None).data
        except ApiError as error:
            error.in_doubt = False  # whatever was to be sent has not been sent
            family, words, advice = type(error), error.message, self._advice
            if error.status in (400, 401, 403):
                family, words = AuthenticationError, f"the login failed: {words}"
                advice = _where_to_look(error.message, form)
            elif isinstance(error, (RateLimitError, PlatformUnavailableError)):
                raise
            raise family(
                row.method, row.path, status=error.status, message=words, advice=advice
            ) from None
        if not isinstance(data, dict) or not is_token(data.get("access_token")):
            faults = ["$.access_token: missing, or no token"]
            raise UnexpectedResponseError(
                row.method, row.path, status=200, faults=faults, advice=self._advice
            )
        return data

    @property
    def _advice(self) -> str:
        return f"is {self.settings.base_url} the address of a platform? See LMS_ARCHIVE_URL"

    def _exchange(self, request: Request, name: str, token: str | None) -> Reply:
        accept = "*/*" if request.raw else "application/json"
        headers = {"Accept": accept, "User-Agent": self.settings.user_agent}
        body = None
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if request.json is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.json, allow_nan=False).encode()
        elif request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(request.form).encode()
        secrets = [token, *(dict(request.form or ()).get(one) for one in _SECRET)]
        self._line.throttle.take()
        self.calls[name] += 1
        lost = None
        try:
            answer = self._line.transport(
                request.method,
                self.settings.base_url + request.path,
                headers,
                request.query,
                body,
                self.settings.timeout,
            )
        except OSError as error:
            lost = self._lost(request, error, secrets)
        if lost is not None:
            raise lost  # not from the transport's error: that may hold the whole request
        reply = read_answer(request, answer, secrets)
        self._date = reply.date or self._date
        return reply

    def _lost(
        self, request: Request, error: OSError, secrets: Iterable[str | None]
    ) -> PlatformUnavailableError:
        sent = not isinstance(error, _NOT_SENT)
        words = "the connection was lost" if sent else "no connection could be made"
        said = one_line(str(error), forms_of(secrets))
        return PlatformUnavailableError(
            request.method,
            request.path,
            message=f"{words}: {type(error).__name__}: {said}",
            advice=f"is {self.settings.base_url} reachable from here?",
            in_doubt=sent,
        )


def _where_to_look(words: str, form: Mapping[str, str]) -> str:
    """Which setting a refused login points at; the error words are OAuth2's own."""
    said = words.lower()
    app = "client_id and client_secret (LMS_ARCHIVE_CLIENT_ID, _CLIENT_SECRET)"
    who = {
        "password": "username and password (LMS_ARCHIVE_USERNAME, _PASSWORD)",
        "client_credentials": app,
    }.get(form["grant_type"], "the assertion: who signed it, for whom, until when")
    if "client" in said:
        return f"look at {app}: the platform does not know this OAuth2 app"
    if "grant_type" in said or "grant type" in said:
        return f"the OAuth2 app does not allow the grant {form['grant_type']!r}: look there"
    if any(word in said for word in ("grant", "user", "password", "credential")):
        return f"look at {who}"
    return f"look at {app}, then at {who}"
