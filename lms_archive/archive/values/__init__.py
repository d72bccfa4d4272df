"""Values that the phases of a job exchange: chunks, outcomes, what a plan decides."""
