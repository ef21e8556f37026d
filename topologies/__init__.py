"""Topologies that ship with the library: run one with `faust -A topologies.<name> worker`."""
