"""Where the time of a record goes, ours beside that of the loop by hand."""
