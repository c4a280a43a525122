"""The kinds of problem that the service reports, by subject; `registry` has the table of all."""
