"""The machine that measures: its cores and conditions, its processes, its GPU."""
