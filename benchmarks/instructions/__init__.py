"""What a record costs, counted and not timed: instructions and Python calls, which noise cannot move."""
