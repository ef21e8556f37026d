"""From a declared topology to what tasks run."""
