"""Values: what the platform holds, as frozen, typed records."""
