"""The machine that measures: its cores, its conditions and its processes."""
