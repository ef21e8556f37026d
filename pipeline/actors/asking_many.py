"""Asking for many values at once: so many at a time, the answers as they come, or in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

#: An iterable, or an asynchronous one.
Values: TypeAlias = "Iterable[T] | AsyncIterable[T]"


async def answers(ask: Callable[[T], Awaitable[Any]], values: Values[T], limit: int) -> AsyncIterator[Any]:
    """Iterate over the answers as they come.

    Args:
        ask: asks for one.
        values: what is asked for.
        limit: so many are waited for at once.

    Raises:
        AskError: one was not answered; the others are given up.
    """
    async for _number, answer in _numbered(ask, values, limit):
        yield answer


async def in_order(ask: Callable[[T], Awaitable[Any]], values: Values[T], limit: int) -> list[Any]:
    """Return the answers in the order of the values; see `answers`."""
    found = {number: answer async for number, answer in _numbered(ask, values, limit)}
    return [found[number] for number in range(len(found))]


async def _numbered(
    ask: Callable[[T], Awaitable[Any]], values: Values[T], limit: int
) -> AsyncIterator[tuple[int, Any]]:
    asked: dict[asyncio.Future[Any], int] = {}
    number = 0
    try:
        async for value in _each(values):
            if len(asked) >= limit:
                for done in await _some(asked):
                    yield asked.pop(done), done.result()
            asked[asyncio.ensure_future(ask(value))] = number
            number += 1
        while asked:
            for done in await _some(asked):
                yield asked.pop(done), done.result()
    finally:
        for left in asked:
            left.cancel()


async def _some(asked: dict[asyncio.Future[Any], int]) -> list[asyncio.Future[Any]]:
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    return list(done)


async def _each(values: Values[T]) -> AsyncIterator[T]:
    if isinstance(values, AsyncIterable):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value
