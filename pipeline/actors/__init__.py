"""Faust's API on the engine: topics, agents and tables as objects of an application."""
