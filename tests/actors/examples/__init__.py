"""Faust's documented examples, written from what they are described to do: each is a Faust program.

With `import faust` in place of its first import, each runs on stock Faust.
"""
