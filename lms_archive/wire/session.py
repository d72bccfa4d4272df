"""Make calls: a session combines contract, login, throttle, retries and transport."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import urlencode

from lms_archive.errors import (
    ApiError,
    AuthenticationError,
    ConnectionSettingsError,
    PlatformUnavailableError,
    RateLimitError,
    UnexpectedResponseError,
)
from lms_archive.records.structure import Structurer
from lms_archive.wire.auth import Form, is_token, login_advice
from lms_archive.wire.calls import Call, Request, report_call
from lms_archive.wire.masking import Mask, Secret, secret
from lms_archive.wire.operation import Operation
from lms_archive.wire.responses import Payload, parse_response
from lms_archive.wire.retry import with_retry
from lms_archive.wire.settings import Settings
from lms_archive.wire.shared import PerProcess, SharedConnection
from lms_archive.wire.transport import (
    RequestNotSentError,
    Response,
    Transport,
    UnusableConnectionError,
    plain_error,
)
from lms_archive.wire.waits import Clock, Waits

_SECRET_FIELDS = ("client_secret", "password", "assertion", "refresh_token")
_NOT_SENT = (RequestNotSentError, ConnectionRefusedError, socket.gaierror)


class Session:
    """A platform, its contract and a login; makes calls, and counts them in `calls` by operation.

    `shared` is the state that it has in common with other sessions of the same platform.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        shared: PerProcess[SharedConnection] | None = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or Clock()
        self.waits: Waits = Waits(self.clock)
        self.calls: Counter[str] = Counter()
        self.structure: Structurer = Structurer(settings.contract.records)
        self._shared = shared or PerProcess(partial(SharedConnection.open, settings, self.clock))
        self._shared.get()
        self._counters: list[tuple[int, Counter[str]]] = []
        self._date: datetime | None = None

    def with_settings(self, settings: Settings) -> Session:
        """Return a session with other settings and its own counts, on the same connection."""

        def changed() -> SharedConnection:
            return self._shared.get().changed(self.settings, settings, self.clock)

        return Session(settings, clock=self.clock, shared=PerProcess(changed))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings alone: no token, no connections, no call history."""
        return Session, (self.settings,)

    def operation(self, name: str) -> Operation:
        """Return the contract's row of that name."""
        return self.settings.contract.operations[name]

    def call(self, name: str, **parameters: Any) -> Payload:
        """Make a call of the contract; the parameters have the contract's own names."""
        return self.send(self.operation(name).request(**parameters), name)

    def send(
        self,
        request: Request,
        name: str = "request",
        *,
        repeat: bool = True,
        before_write: Callable[[], None] | None = None,
    ) -> Payload:
        """Send a request; `repeat=False` never retries it.

        `before_write` is called right before each exchange, after every wait; what it raises
        passes through.

        Raises:
            ApiError: the call failed after every attempt that was safe, or was refused.
            StopRequestedError: the run is to stop; a write has not started.
        """
        if not request.is_write:  # a run looks before it records that it sends
            self.waits.check()
        attempts = count(1)
        if not repeat:
            return self._with_token(request, name, attempts, before_write)
        return with_retry(
            lambda: self._with_token(request, name, attempts, before_write),
            self.settings.retry,
            is_write=request.is_write,
            waits=self.waits,
        )

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count the calls that this thread makes in the block, by operation; blocks may nest."""
        counter: Counter[str] = Counter()
        entry = (threading.get_ident(), counter)
        self._counters.append(entry)
        try:
            yield counter
        finally:
            self._counters[:] = [other for other in self._counters if other[1] is not counter]

    @property
    def documents(self) -> dict[str, Any]:
        """The platform's swagger as far as `wire.documents` has read it, shared by all copies."""
        return self._shared.get().documents

    @property
    def ignored_filters(self) -> set[str]:
        """The operations of lists whose user filter the platform ignores."""
        return self._shared.get().ignored_filters

    @property
    def missing_lists(self) -> set[str]:
        """The lists over all targets, by operation, that the platform does not have."""
        return self._shared.get().missing_lists

    def keep_reading(self, plan: object) -> None:
        """Record that this session read the enrollments of a plan that is not applied yet."""
        self._shared.get().unused_readings[id(plan)] = plan

    def use_reading(self, plan: object) -> bool:
        """Return whether `keep_reading` recorded this plan, and forget it."""
        return self._shared.get().unused_readings.pop(id(plan), None) is plan

    def expect(self, calls: int) -> None:
        """Announce a number of calls, so that the throttle can spread them."""
        self._shared.get().throttle.expect(calls)

    @property
    def pace(self) -> float:
        """The seconds between two calls that the throttle spreads; 0 at full speed."""
        return self._shared.get().throttle.spacing

    def wait_for_room(self, calls: int) -> float:
        """Wait until the throttle allows that many calls at once; return the seconds."""
        begin = self.clock.monotonic()
        throttle = self._shared.get().throttle
        throttle.wait_for_room(calls, partial(self.waits.wait, reason="rate limit"))
        return self.clock.monotonic() - begin

    def platform_time(self) -> datetime:
        """Return the platform's time (UTC) at its last good answer to this session."""
        if self._date is None:
            faults = ["no Date header: without it the time of an archive cannot be verified"]
            raise UnexpectedResponseError("GET", self.settings.base_url, faults=faults)
        return self._date

    @property
    def calls_left(self) -> int | None:
        """The calls that the throttle allows now, or None where nothing limits them."""
        return self._shared.get().throttle.left

    def close(self) -> None:
        """Close the connections, where the transport has any."""
        close = getattr(self._shared.get().transport, "close", None)
        if close is not None:
            close()

    def _with_token(
        self,
        request: Request,
        name: str,
        attempts: Iterator[int],
        before: Callable[[], None] | None,
    ) -> Payload:
        if not request.with_token:
            return self._exchange(request, name, None, next(attempts), before)
        tokens = self._shared.get().tokens
        token = tokens.token(self._fetch_token)
        try:
            return self._exchange(request, name, token, next(attempts), before)
        except AuthenticationError:
            if not tokens.renewable:
                raise
        token = tokens.token(self._fetch_token, rejected=token)
        return self._exchange(request, name, token, next(attempts), before)

    def _fetch_token(self, form: Form) -> dict[str, Any]:
        row = self.operation("token")
        pairs = tuple(
            (name, secret(value) if name in _SECRET_FIELDS else value)
            for name, value in form.items()
        )
        call, settings = (row.method, row.path), self.settings
        advice = f"is {settings.base_url} the address of a platform? See {settings.env_prefix}URL"
        try:
            data = self._exchange(Request(*call, form=pairs), "token", None).data
        except ApiError as error:
            error.in_doubt = False  # the call that needs the token has not been sent
            if error.status is None or isinstance(
                error, (RateLimitError, PlatformUnavailableError)
            ):
                raise
            family, message = type(error), error.message
            if error.status in (400, 401, 403):
                family, message = AuthenticationError, f"the login failed: {message}"
                advice = login_advice(error.message, str(form["grant_type"]), settings.env_prefix)
            raise family(*call, status=error.status, message=message, advice=advice) from None
        if not isinstance(data, dict) or not is_token(data.get("access_token")):
            faults = ["$.access_token: missing, or not a token"]
            raise UnexpectedResponseError(*call, status=200, faults=faults, advice=advice)
        return data

    def _exchange(
        self,
        request: Request,
        name: str,
        token: Secret | None,
        attempt: int = 1,
        before: Callable[[], None] | None = None,
    ) -> Payload:
        shared = self._shared.get()
        shared.throttle.take(partial(self.waits.wait, reason="rate limit"))
        if before is not None:
            before()
        self._count(name, shared.counting)
        fields = [value for _, value in request.form or () if isinstance(value, Secret)]
        mask = Mask([token, *fields])
        begin = self.clock.monotonic()
        answer = self._transmit(shared.transport, request, token)
        call = Call(
            method=request.method,
            path=request.path,
            status=None if isinstance(answer, OSError) else answer.status,
            seconds=self.clock.monotonic() - begin,
            attempt=attempt,
        )
        report_call(call, self.settings.on_call)
        if isinstance(answer, OSError):
            raise self._no_answer(request, answer, mask)
        payload = parse_response(request, answer, mask)
        self._date = payload.date or self._date
        return payload

    def _count(self, name: str, lock: threading.Lock) -> None:
        with lock:
            self.calls[name] += 1
        thread = threading.get_ident()
        for owner, counter in tuple(self._counters):
            if owner == thread:
                counter[name] += 1

    def _transmit(
        self, transport: Transport, request: Request, token: Secret | None
    ) -> Response | OSError:
        """Carry one exchange, and return the answer or the error of the transport.

        The error is returned, not raised, so that no traceback contains this frame, which holds
        the token, or the transport's own error, which may hold the whole request.
        """
        headers = {
            "Accept": "*/*" if request.raw else "application/json",
            "User-Agent": self.settings.user_agent,
            **request.headers,
        }
        body = None
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        if request.json is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.json, allow_nan=False).encode()
        elif request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode([(name, _revealed(value)) for name, value in request.form]).encode()
        url, timeout = self.settings.base_url + request.path, self.settings.timeout
        try:
            return transport(request.method, url, headers, request.query, body, timeout)
        except OSError as error:
            return plain_error(error)

    def _no_answer(self, request: Request, error: OSError, mask: Mask) -> ApiError:
        text = mask.line(error.strerror or str(error) or type(error).__name__)
        call = request.method, request.path
        if isinstance(error, UnusableConnectionError):
            return ConnectionSettingsError(*call, message=f"no connection is possible: {text}")
        sent = not isinstance(error, _NOT_SENT)
        message = f"the connection was lost: {text}"
        if not sent:
            message = f"no connection could be made: {text}"
        elif isinstance(error, TimeoutError):
            message = f"no complete answer within {self.settings.timeout[1]:g} s"
        return PlatformUnavailableError(
            *call,
            message=message,
            advice=f"is {self.settings.base_url} reachable from here?",
            in_doubt=sent,
        )


def _revealed(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value
