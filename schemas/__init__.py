"""The types of the topologies' own topics and tables."""
