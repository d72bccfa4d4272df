"""HTTP: the table of calls, and how one call is made, repeated, paced and paged."""
