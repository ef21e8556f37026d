"""How late a record comes out: from when it is produced to when a reader of the result has it."""
