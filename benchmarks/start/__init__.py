"""How long it takes from the command to the first result."""
