"""What a handler gets, and the reading of parameters as the route table declares them."""

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from werkzeug.datastructures import MultiDict

from lms_archive.sandbox.faults import Faults
from lms_archive.sandbox.foreign import Foreign
from lms_archive.sandbox.oauth import Account
from lms_archive.sandbox.refusal import Refusal, invalid

Place = Literal["path", "query", "body", "nowhere"]
Kind = Literal["integer", "string", "boolean", "moment", "integers", "strings", "filters"]
SharedReading = Literal["A", "B"]
NeverLoggedIn = Literal["first", "last"]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a call, as its swagger describes it.

    A `moment` is a time or a date; `filters` an object of lists of words, by the names in `enum`.
    Handlers know it by `name`, callers by `sent_as` (empty: the same), and its values by those
    that `meanings` leads to. What is `nowhere` always has its default.
    """

    name: str
    place: Place
    kind: Kind
    enum: tuple[str, ...] = ()
    default: Any = None
    sent_as: str = ""
    meanings: tuple[tuple[str, str], ...] = ()

    @property
    def shown(self) -> str:
        """The name that callers know."""
        return self.sent_as or self.name

    @property
    def many(self) -> bool:
        """Whether it takes several values; in a path it is one of them."""
        return self.kind in ("integers", "strings")


@dataclass(frozen=True, slots=True)
class Settings:
    """How this platform behaves: see `Sandbox`."""

    job_seconds: float
    more_data_lies: bool
    calls_per_hour: int | None
    shared_reading: SharedReading
    ignores_filters: bool
    never_logged_in: NeverLoggedIn
    foreign: Foreign


@dataclass(frozen=True, slots=True)
class Ask:
    """One authenticated call: who asks for what, when, and what it may touch.

    `args` holds each declared parameter, None where it was not given; all others are gone
    (a wrong filter name is ignored: inferred).
    """

    operation: str
    method: str
    path: str
    args: Mapping[str, Any]
    account: Account
    now: datetime
    db: sqlite3.Connection
    settings: Settings
    faults: Faults


def read_parameters(
    parameters: tuple[Parameter, ...],
    path: Mapping[str, Any],
    query: MultiDict[str, str],
    body: bytes,
) -> dict[str, Any]:
    """Return the values of `parameters`, converted; 400 for a wrong one."""
    content = _content(body) if any(p.place == "body" for p in parameters) else {}
    args: dict[str, Any] = {}
    for parameter in parameters:
        name, value = parameter.shown, None
        if parameter.place == "path":
            value = [path[name]] if parameter.many else path[name]
        elif parameter.place == "body":
            value = content.get(name)
        elif parameter.place == "query":
            value = (query.getlist(name) or None) if parameter.many else query.get(name)
        given = value not in (None, "")
        args[parameter.name] = _convert(parameter, value) if given else parameter.default
    return args


def _content(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except ValueError:
        raise Refusal(400, "The body is not valid JSON.") from None
    if not isinstance(content, dict):
        raise Refusal(400, "The body is not a JSON object.")
    return content


def _convert(parameter: Parameter, value: Any) -> Any:
    convert = _CONVERTERS[parameter.kind]
    try:
        converted = convert(value)
    except (TypeError, ValueError):
        said = f"{parameter.shown} must be {_SAID[parameter.kind]}"
        raise invalid(parameter.shown, said) from None
    if parameter.kind == "filters":
        return {name: converted.get(name) for name in parameter.enum}
    if parameter.enum and converted not in parameter.enum:
        raise invalid(parameter.shown, f"must be one of: {', '.join(parameter.enum)}")
    return dict(parameter.meanings).get(converted, converted) if parameter.meanings else converted


def _integer(value: Any) -> int:
    """Take an int or a digit string (ids come as both: seen)."""
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}", str(value), re.ASCII):
        raise ValueError(value)
    return int(value)


def _boolean(value: Any) -> bool:
    flag = _FLAGS.get(str(value).lower())
    if flag is None:
        raise ValueError(value)
    return flag


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _time(value: Any) -> str:
    if not _MOMENT.fullmatch(_string(value)):
        raise ValueError(value)
    return str(value)


def _list(convert: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def converter(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(value)
        return [convert(item) for item in value]

    return converter


def _filters(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return {name: _list(_string)(words) for name, words in value.items()}


_CONVERTERS: dict[Kind, Callable[[Any], Any]] = {
    "integer": _integer,
    "string": _string,
    "boolean": _boolean,
    "moment": _time,
    "integers": _list(_integer),
    "strings": _list(_string),
    "filters": _filters,
}
_SAID: dict[Kind, str] = {
    "integer": "an integer",
    "string": "a string",
    "boolean": "a boolean",
    "moment": "a time, YYYY-MM-DD HH:MM:SS",
    "integers": "a list of integers",
    "strings": "a list of strings",
    "filters": "an object of lists of strings",
}
