"""How much memory a process has that keeps many keys."""
