"""What a GPU does with 1 to N workers, and how much of it is left."""
