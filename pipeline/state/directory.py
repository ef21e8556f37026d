"""A worker's data folder: whose it is, and in which layout it is written."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import IO, Any, Final

from pipeline.errors import StateError
from pipeline.record import TaskId

#: The layout of what lies below; a folder of another one is not touched.
LAYOUT: Final = "1"
#: Between a store's name and when it was set aside. No store's name holds a plus.
_CORRUPT: Final = "+corrupt-"
#: After the name of a store that is being removed.
_REMOVED: Final = "+removed"
#: What a task's folder is called: sub-topology and partition.
_TASK: Final = re.compile(r"[0-9]+_[0-9]+")


class StateDirectory:
    """The folder in which one worker of one application keeps its stores.

    ```
    <state_dir>/<application_id>/.lock        held as long as a worker uses the folder
                                 layout       version of what lies here
                                 worker-id    who this worker is, across restarts
                                 <task>/<store>/
                                 <task>/<store>+corrupt-<time in ms>/    was damaged, see `set_aside`
                                 <task>/<store>+removed/    is being removed, see `sweep`
    ```

    Args:
        root: `<state_dir>/<application_id>`; made if it is not there.

    Raises:
        StateError: another worker uses it, it was written in another layout, or it cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock: IO[Any] = (root / ".lock").open("a")
        except OSError as error:
            raise StateError(f"cannot use the data folder {root}: {error}") from error
        try:
            self._take_lock()
            self._check_layout()
            self.worker_id = self._written_once("worker-id", uuid.uuid4().hex)
        except BaseException:
            self._lock.close()
            raise

    def path(self, task: str, store: str) -> Path:
        """Return where a task's store lies."""
        return self._root / task / store

    def stored(self) -> dict[TaskId, list[str]]:
        """Return the tasks of which stores lie here, and the stores' names; without what was set aside.

        Raises:
            StateError: the folder cannot be read.
        """
        try:
            folders = [path for path in self._root.iterdir() if _TASK.fullmatch(path.name)]
            return {
                TaskId(*map(int, folder.name.split("_"))): [
                    path.name
                    for path in sorted(folder.iterdir())
                    if _CORRUPT not in path.name and not path.name.endswith(_REMOVED)
                ]
                for folder in folders
            }
        except OSError as error:
            raise StateError(f"cannot read the data folder {self._root}: {error}") from error

    def discard(self, task: str, store: str) -> None:
        """Take a store away from where it would be opened; `sweep` removes it.

        Raises:
            StateError: the folder cannot be written to.
        """
        path = self.path(task, store)
        try:
            path.rename(path.with_name(f"{store}{_REMOVED}"))
        except OSError as error:
            raise StateError(f"cannot remove {path}: {error}") from error

    def sweep(self, files: int) -> int:
        """Remove up to so many files of what was discarded, and return how many there were.

        Raises:
            StateError: the folder cannot be written to.
        """
        removed = 0
        try:
            for folder in self._root.glob(f"*/*{_REMOVED}"):
                for path in folder.iterdir():
                    if removed == files:
                        return removed
                    path.unlink()
                    removed += 1
                folder.rmdir()
                removed += 1
                if not any(folder.parent.iterdir()):
                    folder.parent.rmdir()
        except OSError as error:
            raise StateError(f"cannot remove what was discarded in {self._root}: {error}") from error
        return removed

    def set_aside(self, task: str, store: str, now_ms: int, keep: int) -> Path:
        """Rename a task's store, and return where it is now; remove all but the last `keep` of those.

        Raises:
            StateError: the folder cannot be written to.
        """
        aside = self._root / task / f"{store}{_CORRUPT}{now_ms}"
        try:
            self.path(task, store).rename(aside)
            kept = sorted(
                self._root.glob(f"*/*{_CORRUPT}*"), key=lambda path: int(path.name.split(_CORRUPT)[1])
            )
            for path in kept[: max(0, len(kept) - keep)]:
                shutil.rmtree(path)
        except OSError as error:
            raise StateError(f"cannot set aside {self.path(task, store)}: {error}") from error
        return aside

    def clear(self) -> int:
        """Remove all stores, those that were set aside, too; return how many there were.

        Raises:
            StateError: the folder cannot be written to.
        """
        try:
            stores = [path for task in self._root.iterdir() if task.is_dir() for path in task.iterdir()]
            for task in {path.parent for path in stores}:
                shutil.rmtree(task)
        except OSError as error:
            raise StateError(f"cannot remove the stores in {self._root}: {error}") from error
        return len(stores)

    def close(self) -> None:
        """Let another worker use it."""
        self._lock.close()

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"another worker uses the data folder {self._root}: give each one of its own (--datadir)"
            ) from None

    def _check_layout(self) -> None:
        found = self._written_once("layout", LAYOUT)
        if found != LAYOUT:
            raise StateError(
                f"the data folder {self._root} has layout {found}, and this version reads and writes layout "
                f"{LAYOUT}: remove the folder, and state is restored from the changelogs"
            )

    def _written_once(self, name: str, value: str) -> str:
        """Return what a file says; write it first if it is not there, whole or not at all."""
        file = self._root / name
        try:
            if not file.exists():
                new = file.with_suffix(".new")
                new.write_text(value, encoding="utf-8")
                os.replace(new, file)  # noqa: PTH105 - Path.replace is the same, and hides that it is atomic
            return file.read_text(encoding="utf-8")
        except OSError as error:
            raise StateError(f"cannot use {file}: {error}") from error
