"""Show keyword options that are declared once, in a TypedDict, as arguments of each function."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def shows_options(options: type, defaults: Mapping[str, Any]) -> Callable[[F], F]:
    """Let `help()` and the API page show the items of *options* in place of `**options`.

    A missing or unknown argument is the usual TypeError.
    """
    annotations: dict[str, Any] = options.__annotations__  # with those of its bases

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        *own, _ = signature.parameters.values()
        shown = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(name, inspect.Parameter.empty),
                annotation=getattr(annotation, "__forward_arg__", annotation),
            )
            for name, annotation in annotations.items()
        ]
        positional = [item for item in own if item.kind is not inspect.Parameter.KEYWORD_ONLY]
        whole = signature.replace(parameters=[*positional, *shown, *own[len(positional) :]])

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                whole.bind(*args, **kwargs)
            except TypeError as error:
                reason = _unknown_option(kwargs, whole.parameters) or error
                raise TypeError(f"{function.__qualname__}(): {reason}") from None
            return function(*args, **kwargs)

        checked.__signature__ = whole  # type: ignore[attr-defined]
        return cast("F", checked)

    return decorate


def _unknown_option(kwargs: Collection[str], names: Collection[str]) -> str | None:
    """Name the first argument that is not in *names*, and the name that is most like it."""
    for name in kwargs:
        if name not in names:
            similar = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ""
            return f"unexpected keyword argument {name!r}{hint}"
    return None
