"""Reference pages written from the code itself, so that they cannot drift from it."""
