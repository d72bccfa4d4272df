"""Reading one course or learning plan."""
