"""The work: from a selection to a plan, from a plan to an outcome for every row."""
