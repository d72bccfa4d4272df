"""Planning a job: who is enrolled where, what is sent, and what that costs. Reads only."""
