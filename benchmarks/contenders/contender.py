"""A contender: how it is run, with which settings and why, and what it cannot do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from benchmarks.measurement import Format, Job, WorkName


class Setting(NamedTuple):
    """A setting that is not the default, or is worth a word.

    Attributes:
        name: as its documentation calls it.
        value: what it is set to.
        reason: why that is fair.
    """

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Changelog:
    """How a contender logs its windows.

    Attributes:
        topic: from the application id to the name of the topic.
        window: from the work, a record's key and its value to the window's key, start, count and sum.
        made_here: whether the harness makes the topic.
    """

    topic: Callable[[str], str]
    window: Callable[[WorkName, bytes, bytes], tuple[bytes, int, int, int]]
    made_here: bool = False


@dataclass(frozen=True, slots=True)
class Contender:
    """Who is measured.

    Attributes:
        name: on the command line.
        title: in the report.
        command: returns the command that does a job and prints a `Measurement`, as JSON, in its last line;
            makes the contender's environment first, if it is not there.
        versions: returns what runs, with versions.
        settings: of its clients and of itself.
        refusals: what it cannot do, and why: a work, a format, or `exactly-once`.
        share: it is given one in so many records: the slow ones need not run for minutes.
        changelog: how it logs windows; None: it does not, and says what they came to.
    """

    name: str
    title: str
    command: Callable[[Job], list[str]]
    versions: Callable[[], str]
    settings: tuple[Setting, ...] = ()
    refusals: Mapping[WorkName | Format | Literal["exactly-once"], str] = field(default_factory=dict)
    share: int = 1
    changelog: Changelog | None = None

    def refusal(self, work: WorkName, form: Format, *, exactly_once: bool) -> str | None:
        """Return why it cannot do a work, of values of a format, in transactions or not; None: it can."""
        asked = (work, form, *(("exactly-once",) if exactly_once else ()))
        return next((self.refusals[part] for part in asked if part in self.refusals), None)
