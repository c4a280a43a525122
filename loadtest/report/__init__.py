"""What reports have in common: the SLO, tables, plots, and the conditions of a measurement."""
