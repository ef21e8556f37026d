"""Workers, tasks, commits, restoring, and the broker as they see it."""
