"""Nouns: what the platform holds, one file each."""
