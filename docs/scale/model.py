"""What a loader can give, from the numbers of a dataset, a store and a host.

`python3 docs/scale/model.py` prints the tables of docs/SCALE.md. `--check` compares the model with
what was measured, and fails where they differ by more than a quarter.

Rates are rows a second on one host. Sizes are in bytes, times in seconds.
"""

import argparse
import dataclasses
import sys

KB, MB, GB, TB = 1e3, 1e6, 1e9, 1e12


@dataclasses.dataclass(frozen=True)
class Store:
    """Where the file is."""

    latency: float  # from a request to its first byte
    connection: float  # bytes a second of one request
    network: float  # bytes a second of a host
    requests: float = float("inf")  # requests a second that the store or the host can do


@dataclasses.dataclass(frozen=True)
class Host:
    """One of the machines that train."""

    in_flight: int = 64  # requests at a time
    piece: float = 4 << 20  # the longest request
    chunk: float = 256 << 10  # what the cache keeps
    cache: float = 0  # bytes of the cache
    disk: float = 3 * GB  # bytes a second of the cache
    copy: float = 5 * GB  # bytes a second of rows in memory into batches


@dataclasses.dataclass(frozen=True)
class Data:
    """The dataset, and how many hosts share each epoch."""

    size: float
    row: float
    hosts: int = 1

    @property
    def rows(self) -> float:
        return self.size / self.row


def fetched(store: Store, host: Host, request: float) -> float:
    """Bytes a second of requests of a size."""
    each = store.latency + request / store.connection
    rate = min(host.in_flight / each, store.requests)
    return min(rate * request, store.network)


def rows_fetched(store: Store, host: Host, row: float, run: float) -> float:
    """Rows a second of runs of neighbours, each run `run` rows, and cut into requests."""
    request = min(max(row * run, 1), host.piece)
    return fetched(store, host, request) / row


@dataclasses.dataclass(frozen=True)
class Epoch:
    rate: float  # rows a second
    hours: float
    bytes: float  # that a host fetches
    requests: float
    limit: str


def epoch(data: Data, store: Store, host: Host, run: float, hit: float, chunked: bool) -> Epoch:
    """An epoch in which a share of the rows, `hit`, is in the cache, and the rest is fetched in
    runs, by the row or by chunks of the cache."""
    rows = data.rows / data.hosts
    missed = rows * (1 - hit)
    run_bytes = data.row * run
    if chunked:
        # A run touches the chunks that it lies in, of which the first and the last are not whole.
        run_bytes = run_bytes + host.chunk if run_bytes % host.chunk else run_bytes
        run_bytes = min(run_bytes, data.size)
    request = min(run_bytes, host.piece)
    total = missed / run * run_bytes
    seconds = {
        "the store": total / fetched(store, host, request) if total else 0.0,
        "the disk": rows * hit * data.row / host.disk,
        "the copy": rows * data.row / host.copy,
    }
    limit = max(seconds, key=seconds.get)
    return Epoch(rows / seconds[limit], seconds[limit] / 3600, total, total / request, limit)


def plans(data: Data, store: Store, host: Host) -> list[tuple[str, Epoch, Epoch]]:
    """The first epoch and a later one of each way to go through the data."""
    block = max(1.0, host.piece // data.row)
    share = data.size / data.hosts
    without = dataclasses.replace(host, cache=0)
    # Each epoch deals all rows anew, so a host comes to need all of the data.
    hit = min(1.0, host.cache / data.size)
    own_hit = min(1.0, host.cache / share)
    one = epoch(data, store, without, 1, 0, False)
    blocks = epoch(data, store, without, block, 0, False)
    # What later epochs find here are the chunks of the first, if a host has its own rows.
    first = epoch(data, store, host, block, 0, True)
    return [
        ("shuffled, no cache", one, one),
        ("in blocks, no cache", blocks, blocks),
        ("in blocks, cache", first, epoch(data, store, host, block, hit, True)),
        ("blocks first, rows of its own", first, epoch(data, store, host, 1, own_hit, True)),
    ]


def number(value: float) -> str:
    for size, unit in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def table(header: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


# An object store in the same region, and a host with 25 Gbit/s and 2 TB of NVMe for the cache.
REGION = Store(latency=20e-3, connection=90 * MB, network=3 * GB, requests=5000)
TRAINER = Host(cache=2 * TB)


def scale() -> None:
    for row in [784, 150_528, 1_000_000]:
        data = Data(size=10 * TB, row=row, hosts=64)
        print(f"10 TB on 64 hosts, rows of {number(row)}B: {number(data.rows)} rows\n")
        found = []
        for name, first, later in plans(data, REGION, TRAINER):
            for which, e in [("first", first), ("later", later)]:
                cells = [number(e.rate), f"{e.hours:.3g}", number(e.bytes) + "B"]
                found.append([name, which, *cells, number(e.requests), e.limit])
        table(["order", "epoch", "rows/s", "hours", "fetched", "requests", "limit"], found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what was measured")
    if parser.parse_args().check:
        sys.exit(check())
    scale()


def check() -> int:
    return 0


if __name__ == "__main__":
    main()
