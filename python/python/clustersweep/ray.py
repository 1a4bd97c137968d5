"""Studies on a Ray cluster: shards as tasks, joined to the bytes of one machine.

>>> import ray, clustersweep as cs
>>> ray.init()
>>> cs.ray.run(cs.Study.from_file("sweeps/llm.toml"), out="s3://bucket/llm", num_shards=64)
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _core
from .errors import ClusterError, Error, FileError, UsageError
from .progress import Poll, Progress, poll_of
from .study import Results, Study

__all__ = ["run"]

_SPEC = "spec.toml"
_POINTS = "points.parquet"
# Written last: a folder that has it is finished.
_MANIFEST = "manifest.json"
# A node may look before a network file system has told it.
_SECONDS_TO_SEE = 3.0
_SECONDS_TO_FORGET = 60.0


def run(
    study: Study,
    *,
    out: str | os.PathLike[str],
    num_shards: int,
    num_cpus: int = 1,
    max_retries: int = 3,
    filesystem: Any = None,
    progress: bool | Callable[[Progress], object] = True,
    resume: bool = False,
    overwrite: bool = False,
) -> Results:
    """Simulates every point on the Ray cluster that is connected, a task a shard, and joins the shards.

    A shard whose worker or node is lost is run again elsewhere. Shards go to `out` with `.shards` behind it, the run
    that one machine would have written to `out`. The nodes need this version of clustersweep, and pyarrow.

    Args:
        study: the study.
        out: run folder: a path that every node sees, or a URL that pyarrow knows (`s3://`, `gs://`, `hdfs://`).
        num_shards: shards that the points are cut into, each of every `num_shards`-th point.
        num_cpus: cores that Ray keeps for a shard, and threads that simulate it.
        max_retries: how often a shard may be lost and run again; -1 for as often as it takes.
        filesystem: a `pyarrow.fs.FileSystem`, in which `out` is a path; for credentials and endpoints of one's own.
        progress: as in `Study.run`; points count when their shard is finished.
        resume: takes the shards that are finished from `out`, where the same study left them.
        overwrite: replaces the result and the shards that `out` holds.

    Raises:
        ClusterError: no Ray is installed, none is connected or it was closed, or a shard was lost too often.
        FileError: `out` holds a result or shards already, or cannot be read or written, here or on a node.
        UsageError: arguments are wrong, or shards to resume are those of another study.
        KeyboardInterrupt: Ctrl-C; shards that are finished stay.
    """
    if isinstance(num_shards, bool) or not isinstance(num_shards, int) or num_shards < 1:
        raise UsageError(f"error: `num_shards` is {num_shards!r}; it is a whole number from 1 on")
    if resume and overwrite:
        raise UsageError("error: `resume` goes on with a result and `overwrite` drops it; take one of them")
    engine = _connected()
    target = _Target.of(out, filesystem)
    spec = study.to_toml()
    target.claim(spec, resume, overwrite)
    left = [number for number in range(1, num_shards + 1) if not target.has_shard(number, num_shards)]
    play = engine.remote(_play)
    poll, end = poll_of(progress)
    try:
        tasks = {
            play.options(
                name=f"sweep shard {number}/{num_shards}", num_cpus=num_cpus, max_retries=max_retries
            ).remote(spec, number, num_shards, num_cpus, target): number
            for number in left
        }
        _wait(engine, tasks, target, poll)
    finally:
        end()
    return target.join(study, num_shards, resume or overwrite)


def _connected() -> Any:
    """Ray, connected to a cluster."""
    try:
        import ray
    except ImportError:
        raise ClusterError("error: Ray is not installed; `pip install ray`") from None
    if not ray.is_initialized():
        raise ClusterError(
            "error: no Ray cluster is connected; call `ray.init()` for one on this machine, or"
            ' `ray.init(address="auto")` on a node of one that runs'
        )
    return ray


def _play(spec: str, number: int, of: int, threads: int, target: _Target) -> dict[str, Any]:
    """One shard, on a worker: the counts of its points."""
    target.check_is_shared(spec)
    with tempfile.TemporaryDirectory(prefix="clustersweep-") as name:
        file = Path(name) / _SPEC
        file.write_bytes(spec.encode())
        folder = Path(name) / "shard"
        Study.from_file(file).run(out=folder, shard=(number, of), threads=threads, progress=False)
        target.put(folder, target.shard(number, of))
        counts: dict[str, Any] = json.loads((folder / _MANIFEST).read_bytes())["counts"]
        return counts


def _wait(engine: Any, tasks: dict[Any, int], target: _Target, poll: Poll | None) -> None:
    """Waits for all shards; on the first that fails, or Ctrl-C, the others are given up."""
    waiting = dict(tasks)
    done = infeasible = crashed = 0
    try:
        while waiting:
            # Ray would start a cluster of its own in place of one that was closed.
            if not engine.is_initialized():
                raise ConnectionError("closed")
            for task in engine.wait(list(waiting), timeout=1.0)[0]:
                # Taken out first: Ray may end the process of one who cancels a task that just failed.
                number = waiting.pop(task)
                counts = _result(engine, task, number, target)
                done += counts["points"]
                infeasible += counts["infeasible"]
                crashed += counts["crashed"]
                if poll is not None:
                    poll(done, infeasible, crashed, None)
    except BaseException as error:
        if not engine.is_initialized():
            raise ClusterError(
                f"error: the Ray cluster was closed while {len(waiting)} shards were left; connect again and run with"
                f" `resume=True`: `{target.shards}` holds those that are finished"
            ) from error
        if waiting:
            for task in engine.wait(list(waiting), num_returns=len(waiting), timeout=0)[1]:
                engine.cancel(task)
        raise


def _result(engine: Any, task: Any, number: int, target: _Target) -> dict[str, Any]:
    """What the task of a shard returned; what it raised becomes an exception of this package."""
    try:
        counts: dict[str, Any] = engine.get(task)
        return counts
    except engine.exceptions.RayTaskError as error:
        if isinstance(error.cause, Error):
            raise error.cause from None
        raise ClusterError(f"error: shard {number} failed on its worker: {error.cause}") from error
    except engine.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise ClusterError(
            f"error: shard {number} was lost too often: {reason} Run again with `resume=True`, which goes on from"
            f" `{target.shards}`, and with more shards if they take too long or too much memory"
        ) from error


def _patiently(holds: Callable[[], bool], patience_s: float) -> bool:
    """Whether something holds, now or within some seconds."""
    end = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True


@dataclass(frozen=True)
class _Target:
    """Place of a run: a path in a filesystem of pyarrow."""

    filesystem: Any
    path: str

    @classmethod
    def of(cls, out: str | os.PathLike[str], filesystem: Any) -> _Target:
        try:
            from pyarrow import fs
        except ImportError:
            raise UsageError("error: pyarrow, which writes the shards, is not installed; `pip install pyarrow`") from None
        text = os.fspath(out)
        if filesystem is not None:
            return cls(filesystem, text.rstrip("/"))
        if "://" not in text:
            return cls(fs.LocalFileSystem(), os.path.abspath(text))
        try:
            found, path = fs.FileSystem.from_uri(text)
        except ValueError as error:
            raise UsageError(
                f"error: `out` is no URL that pyarrow knows: {error}; take a path, s3://, gs:// or hdfs://"
            ) from None
        except OSError as error:
            raise FileError(f"error: cannot reach `out`: {error}; check bucket, region and credentials") from None
        return cls(found, path.rstrip("/"))

    @property
    def shards(self) -> str:
        return f"{self.path}.shards"

    def shard(self, number: int, of: int) -> str:
        return f"{self.shards}/{number}-of-{of}"

    def has_shard(self, number: int, of: int) -> bool:
        return self._has(f"{self.shard(number, of)}/{_MANIFEST}")

    def claim(self, spec: str, resume: bool, overwrite: bool) -> None:
        """Writes the spec beside the shards, before anything runs: it says whose they are, and whether one may write."""
        kept = f"{self.shards}/{_SPEC}"
        try:
            if not (resume or overwrite):
                for found in (f"{self.path}/{_POINTS}", kept):
                    if self._has(found):
                        raise FileError(
                            f"error: `{found}` is of an earlier run; go on with `resume=True`, begin anew with"
                            " `overwrite=True`, or name another `out`"
                        )
            if resume and self._has(kept):
                if self._text(kept) != spec:
                    raise UsageError(f"error: the shards in `{self.shards}` are of another study; name another `out`")
            if overwrite and self._has(kept):
                self.filesystem.delete_dir(self.shards)
            self.filesystem.create_dir(self.shards, recursive=True)
            with self.filesystem.open_output_stream(kept) as stream:
                stream.write(spec.encode())
        except OSError as error:
            raise self._denied(error, self.shards) from None

    def check_is_shared(self, spec: str) -> None:
        """Refuses a node that does not see what `claim` wrote, before it simulates what nobody would find."""
        kept = f"{self.shards}/{_SPEC}"
        if not _patiently(lambda: self._has(kept) and self._text(kept) == spec, _SECONDS_TO_SEE):
            raise FileError(
                f"error: {socket.gethostname()} does not see `{self.shards}`, which the process that called wrote; name an"
                " `out` that every node sees, or the URL of an object store"
            )

    def put(self, folder: Path, path: str) -> None:
        """Copies the files of a run folder to a path, what says that they are finished last."""
        from pyarrow import fs

        # The lock of a folder is no part of the run.
        files = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
        files.sort(key=lambda file: file.name == _MANIFEST)
        try:
            self.filesystem.create_dir(path, recursive=True)
            for file in files:
                fs.copy_files(
                    os.fspath(file), f"{path}/{file.name}",
                    source_filesystem=fs.LocalFileSystem(), destination_filesystem=self.filesystem,
                )  # fmt: skip
        except OSError as error:
            raise self._denied(error, path) from None

    def join(self, study: Study, num_shards: int, overwrite: bool) -> Results:
        """Joins the shards into the run of one machine."""
        from pyarrow import fs

        names = [self.shard(number, num_shards) for number in range(1, num_shards + 1)]
        unseen: list[str] = []

        def all_are_seen() -> bool:
            unseen[:] = [name for name in names if not self._has(f"{name}/{_MANIFEST}")]
            return not unseen

        # A network file system may remember for a minute that a file was not there.
        if not _patiently(all_are_seen, _SECONDS_TO_FORGET):
            raise FileError(
                f"error: this machine does not see {len(unseen)} shards that nodes wrote, `{unseen[0]}` first; name an"
                " `out` that every node sees, or the URL of an object store"
            )
        if isinstance(self.filesystem, fs.LocalFileSystem):
            _core.merge(names, self.path, overwrite)
            return Results(_core.read_points(self.path), study, Path(self.path))
        with tempfile.TemporaryDirectory(prefix="clustersweep-") as name:
            folders = [os.path.join(name, os.path.basename(shard)) for shard in names]
            try:
                for shard, folder in zip(names, folders):
                    os.mkdir(folder)
                    fs.copy_files(
                        shard, folder, source_filesystem=self.filesystem, destination_filesystem=fs.LocalFileSystem()
                    )
            except OSError as error:
                raise FileError(f"error: cannot read the shards in `{self.shards}`: {error}") from None
            joined = os.path.join(name, "run")
            _core.merge(folders, joined, False)
            self.put(Path(joined), self.path)
            return Results(_core.read_points(joined), study, None)

    def _text(self, path: str) -> str:
        with self.filesystem.open_input_stream(path) as stream:
            return bytes(stream.read()).decode()

    def _has(self, path: str) -> bool:
        from pyarrow import fs

        return bool(self.filesystem.get_file_info(path).type == fs.FileType.File)

    @staticmethod
    def _denied(error: OSError, path: str) -> FileError:
        if isinstance(error, FileError):
            return error
        return FileError(
            f"error: cannot write to `{path}` from {socket.gethostname()}: {error}; check that the path or bucket is there,"
            " and that the user or credentials of each node may write to it"
        )
