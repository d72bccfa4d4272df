"""Run a sandbox until it is interrupted: `python -m lms_archive.sandbox serve`."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import threading
from collections.abc import Sequence

from lms_archive.sandbox import Sandbox

_FILES = ("users", "courses", "learning_plans", "enrollments", "learning_plan_enrollments")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _serve(options)
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve(options: argparse.Namespace) -> None:
    with Sandbox(path=options.path, port=options.port, job_seconds=options.job_seconds) as sandbox:
        sandbox.load_csv(**{name: getattr(options, name) for name in _FILES})
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C may come right after the first line
            print(f"Serving on {sandbox.url}, data in {sandbox.path}. Stop with Ctrl-C.")
            for name, value in sandbox.env().items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            _wait()
        print("Stopped.")


def _wait() -> None:
    threading.Event().wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lms_archive.sandbox", description=__doc__)
    serve = parser.add_subparsers(required=True, metavar="serve").add_parser(
        "serve", help="serve on http://127.0.0.1 and print the environment variables to use it"
    )
    serve.add_argument("--port", type=int, default=0, help="the port; 0 (default): a free port")
    for name in _FILES:
        words = name.replace("_", " ")
        option = f"--{name.replace('_', '-')}"
        serve.add_argument(option, metavar="FILE", help=f"a CSV file of {words} to load")
    serve.add_argument(
        "--job-seconds",
        type=float,
        default=0.2,
        help="how many seconds a background job takes (default: 0.2)",
    )
    serve.add_argument("--path", metavar="FILE", help="keep the data in this SQLite file")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
