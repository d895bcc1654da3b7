"""Worker processes of dask.distributed: the one module that opens it."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from ..reduction.disk_cache import wait_until_written
from .blocks import Block, Done, Job, forget_job, reduce_block
from .dask_log import DaskLog
from .environment import KeptEnvironment
from .errors import ReplayError

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
WITHOUT_WORKERS_S = 60.0
START_S = 60.0
CLOSE_S = 10.0

GUARD = 'in a script, what uses workers=N has to stand under `if __name__ == "__main__":`'

# A frame of 16 MB is a mapping of its own by default, which the kernel clears at every allocation; and with what
# dask sets (MALLOC_TRIM_THRESHOLD_), memory is given back after every frame.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "DASK_LOGGING__DISTRIBUTED": "critical",
}


_dask_log = DaskLog()
# dask sets the others by itself.
_environment = KeptEnvironment((*ENVIRONMENT, "MALLOC_TRIM_THRESHOLD_", "PYTHONHASHSEED", "__DASK_PARENT_PID"))


class Killed(Exception):
    """The workers that had a block were killed."""


class NoWorkers(Exception):
    """There are no workers any more, or they cannot be reached."""


class Task:
    """A block that a worker has, or will have."""

    def __init__(self, future: Future) -> None:
        self._future = future

    def wait(self) -> None:
        """Wait until it is done, whatever comes of it."""
        with contextlib.suppress(Killed, NoWorkers, Exception):
            self.result()

    def result(self) -> Done:
        """What became of the block.

        Raises
        ------
        Killed
            Its worker was killed, as often as dask allows.
        NoWorkers
            Nobody will do it.
        """
        from distributed import CancelledError, KilledWorker, TimeoutError

        alone_since: float | None = None
        while True:
            try:
                return self._future.result(timeout=LOOK_EVERY_S)
            except KilledWorker as error:
                raise Killed(str(error)) from error
            except CancelledError as error:
                raise NoWorkers(f"the task was lost: {error}") from error
            except TimeoutError:
                # One that is done may be lost with its worker before it is fetched, and is made again.
                if self._future.status == "error":
                    raise  # it is the task's own
            if _number(self._future.client):
                alone_since = None
            elif alone_since is None:
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > WITHOUT_WORKERS_S:
                raise NoWorkers(f"no worker for {WITHOUT_WORKERS_S:g} s")


class Workers:
    """The processes that blocks are given to; started when the first one is.

    Parameters
    ----------
    given
        How many processes to start on this machine, or a client of those that there are.

    Raises
    ------
    ReplayError
        `given` is neither, or dask.distributed is not installed.
    """

    def __init__(self, given: int | Client) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            message = "workers= needs dask.distributed: pip install 'bluesky-diffractogram[dask]'"
            raise ReplayError(message) from error
        self._cluster: Any = None
        self._client: Any = None
        self._wanted = 0
        if isinstance(given, Client):
            self._client = given
        elif isinstance(given, int) and not isinstance(given, bool) and given > 0:
            if getattr(multiprocessing.current_process(), "_inheriting", False):
                raise ReplayError(f"a worker process runs the script that started it once more: {GUARD}")
            self._wanted = given
        else:
            raise ReplayError(f"workers = {given!r}: expected how many processes, or a dask.distributed Client")
        self._jobs: dict[str, Future] = {}
        self._number = 0

    def __len__(self) -> int:
        """How many blocks are worked on at a time."""
        return self._number or self._wanted or 1

    def submit(self, job: Job, block: Block) -> Task:
        """Have a worker reduce a block.

        Raises
        ------
        NoWorkers
            They cannot be started.
        """
        try:
            client = self._started()
            if job.key not in self._jobs or self._jobs[job.key].status in ("error", "cancelled", "lost"):
                # As the result of a task, which dask hands from worker to worker, and makes again when one is killed.
                self._jobs[job.key] = client.submit(_job, job, pure=False)
            return Task(client.submit(reduce_block, self._jobs[job.key], block, pure=False))
        except Exception as error:
            hint = f" ({GUARD})" if self._wanted and self._client is None else ""
            raise NoWorkers(f"{type(error).__name__}: {error}{hint}") from error

    def close(self) -> None:
        """End the processes that were started, or have those of others forget the job."""
        jobs, self._jobs = self._jobs, {}
        for key in jobs if self._cluster is None else ():
            with contextlib.suppress(Exception):  # they may be gone
                self._client.run(forget_job, key, wait=False)
        for job in jobs.values():
            with contextlib.suppress(Exception):
                job.release()
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._client.close(CLOSE_S)
            with contextlib.suppress(Exception):
                self._cluster.close(CLOSE_S)
            _dask_log.restore()
            _environment.restore()
            self._cluster = self._client = None
            self._number = 0

    def _started(self) -> Client:
        if self._client is None:
            wait_until_written()  # the tables that they begin with
            _dask_log.silence()
            _environment.keep()
            try:
                self._cluster, self._client = _start(self._wanted)
            except BaseException:
                _dask_log.restore()
                _environment.restore()
                raise
        if not self._number:
            self._number = max(1, _number(self._client))
        return self._client


def _start(number: int) -> tuple[Any, Client]:
    import dask
    from distributed import Client, LocalCluster, Security

    settings = {
        "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
        "distributed.worker.multiprocessing-method": "spawn",
        # One task at a time and worker, and none again without us: a frame that kills its worker harms no other.
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.allowed-failures": 0,
        "distributed.admin.large-graph-warning-threshold": "1GiB",
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    # One that was killed is started again; after 15 s without it dask would not wait for it any more. This is asked
    # for when it is missed, so it has to stay as it is set.
    dask.config.set({"distributed.deploy.lost-worker-timeout": f"{WITHOUT_WORKERS_S:g}s"})
    with dask.config.set(settings):
        # Whoever may connect to a scheduler may run what he likes: only who has this process's certificate may.
        with _deaf_to_interrupts():
            cluster = LocalCluster(
                n_workers=number, threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address="127.0.0.1:0", memory_limit=None, silence_logs=logging.CRITICAL,
                security=Security.temporary(),
            )  # fmt: skip
        try:
            client = Client(cluster, set_as_default=False, timeout=START_S)
            client.wait_for_workers(number, timeout=START_S)
        except BaseException:
            cluster.close()
            raise
    return cluster, client


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Threads that are started meanwhile, and the processes that these start, get no SIGINT from the keyboard.

    The process that replays gets it, and ends the others.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started with the first process otherwise, it lets interrupts through to that one.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _number(client: Client) -> int:
    """How many tasks its workers do at a time."""
    try:
        return sum(client.nthreads().values())
    except Exception as error:
        raise NoWorkers(f"{type(error).__name__}: {error}") from error


def _job(job: Job) -> Job:
    return job
