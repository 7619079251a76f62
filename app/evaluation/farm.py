"""Where many pieces of work are done: in this process, on all cores, or on a cluster."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import HarkError

# (work, items) -> (place of an item, its result), as they are done; both must be picklable
Farm = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[int, Any]]]

_PATIENCE_S = 10  # for a scheduler to answer


def here(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """One after the other, in this process."""
    for place, item in enumerate(items):
        yield place, work(item)


def on_cores(jobs: int) -> Farm:
    """On `jobs` cores by joblib, -1 for all; one job needs no other process."""
    from joblib import Parallel, delayed, effective_n_jobs

    def farm(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        workers = min(effective_n_jobs(jobs), len(items))
        if workers <= 1:
            return here(work, items)
        parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
        done: Iterator[tuple[int, Any]] = parallel(delayed(_placed)(work, *pair) for pair in enumerate(items))
        return done

    return farm


def on_dask(address: str) -> Farm:
    """On the workers of a Dask scheduler, "tcp://host:8786"; what a lost worker had is done by another.

    The workers must see the recordings and the model under the same paths. Raises HarkError where no scheduler answers.
    """
    from dask.distributed import Client, as_completed

    def farm(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        try:
            client = Client(address, timeout=_PATIENCE_S)
        except (OSError, ValueError) as error:
            raise HarkError(f"--dask {address}: no scheduler answers there; one looks like tcp://host:8786") from error
        with client:
            futures = [client.submit(_placed, work, place, item, pure=False) for place, item in enumerate(items)]
            for future in as_completed(futures):
                yield future.result()
                future.release()

    return farm


def _placed(work: Callable[[Any], Any], place: int, item: Any) -> tuple[int, Any]:
    return place, work(item)
