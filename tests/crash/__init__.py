"""The crash test: a process that archives is killed at every point where it matters.

`python -m tests.crash` does it all; `test_kills.py` a slice.
"""
