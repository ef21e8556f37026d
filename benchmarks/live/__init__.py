"""Whole processes as users start them, measured from outside: by their topics, /proc and HTTP."""
