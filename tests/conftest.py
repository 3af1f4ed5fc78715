"""What the tests of several modules share."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import threadpool_limits

from privlab import workers


def one_thread_each():
    """Hold what this thread calls to one OpenMP thread, as a worker process should be."""
    import sklearn.ensemble  # noqa: F401, for its OpenMP must be there to be held

    threadpool_limits(1, user_api="openmp")


@pytest.fixture(scope="module")
def in_this_process():
    """Slow fits run in a thread, which spares the start of worker processes."""
    with ThreadPoolExecutor(1, initializer=one_thread_each) as pool:
        workers.use(pool)
        yield pool
        workers.use(None)
