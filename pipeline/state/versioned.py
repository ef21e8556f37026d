"""Placeholder until the versioned store lands."""

LATEST = -1
NOT_PUT = -(2**63)
