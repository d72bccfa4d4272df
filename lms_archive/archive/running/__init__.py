"""Running a plan: send, wait, read back, account for every row."""
