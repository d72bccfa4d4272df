"""Values that planning, running and the ledger exchange: chunks, outcomes, plan data."""
