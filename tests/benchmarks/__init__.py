"""How fast, how small, how few calls: `python -m tests.benchmarks`, from the repository's root."""
