"""What a loader can give, from the numbers of a dataset, a store and a host.

`python3 docs/scale/model.py` prints the tables of docs/SCALE.md. With `--check` it fails where the
page has other numbers, or where what was measured is off by more than 30 % of the model.

Sizes are in bytes, times in seconds, rates in what they say a second on one host.
"""

import argparse
import dataclasses
import pathlib
import sys

KIB, MIB = 1 << 10, 1 << 20
MB, GB, TB = 1e6, 1e9, 1e12


@dataclasses.dataclass(frozen=True)
class Store:
    """Where the file is."""

    latency: float  # from a request to its first byte
    network: float  # bytes a second of a host
    connection: float = float("inf")  # bytes a second of one request


@dataclasses.dataclass(frozen=True)
class Host:
    """A machine that trains. The defaults are those of `RemoteOptions`."""

    in_flight: int = 64  # requests at a time
    request: int = MIB  # the longest
    rows_ahead: int = 128 * 64  # rows that are announced before they are gathered
    bytes_ahead: int = 128 * MIB  # the same in bytes: half of `memory_bytes`
    chunk: int = 128 * KIB  # what the cache keeps
    cache: float = 0  # bytes of the cache
    disk: float = 3 * GB  # bytes a second of the cache
    copy: float = 5 * GB  # bytes a second from memory into batches


@dataclasses.dataclass(frozen=True)
class Data:
    """The dataset, and how many hosts share each epoch."""

    size: float
    row: int
    hosts: int


@dataclasses.dataclass(frozen=True)
class Epoch:
    rows: float  # a second
    hours: float
    fetched: float  # bytes that a host fetches
    requests: float
    limit: str


def fetch(store: Store, host: Host, request: float, row: float) -> float:
    """Bytes a second that arrive by requests of a size, for rows of a size."""
    ahead = min(host.rows_ahead * row, host.bytes_ahead)
    in_flight = min(host.in_flight, max(1.0, ahead / request))
    one = store.latency + request / store.connection
    return min(in_flight * request / one, store.network)


def epoch(data: Data, store: Store, host: Host, run: float, cached: float) -> Epoch:
    """An epoch of runs of neighbouring rows. A share of the rows is in the cache."""
    rows = data.size / data.row / data.hosts
    run_bytes = data.row * run
    if host.cache:
        # A run begins and ends within a chunk, half of which belongs to others on average.
        run_bytes += host.chunk
    request = min(run_bytes, host.request)
    fetched = rows * (1 - cached) / run * run_bytes
    seconds = {
        "store": fetched / fetch(store, host, request, data.row),
        "disk": rows * cached * data.row / host.disk,
        "copy": rows * data.row / host.copy,
    }
    # They overlap, since what comes next is known.
    limit = max(seconds, key=lambda what: seconds[what])
    slowest = seconds[limit]
    return Epoch(rows / slowest, slowest / 3600, fetched, fetched / request, limit)


def plans(data: Data, store: Store, host: Host) -> list[tuple[str, str, Epoch]]:
    """The ways to go through the data, and their epochs."""
    block = max(1, host.request // data.row)
    without = dataclasses.replace(host, cache=0)
    # Each epoch deals all rows to all hosts anew, so a host has use for all of the data.
    of_all = min(1, host.cache / data.size)
    of_own = min(1, host.cache / (data.size / data.hosts))
    return [
        ("shuffled", "each", epoch(data, store, without, 1, 0)),
        ("in blocks", "each", epoch(data, store, without, block, 0)),
        ("in blocks, a cache", "later", epoch(data, store, host, block, of_all)),
        ("blocks first, own rows, a cache", "first", epoch(data, store, host, block, 0)),
        ("blocks first, own rows, a cache", "later", epoch(data, store, host, 1, of_own)),
    ]


def number(value: float) -> str:
    for size, unit in [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")]:
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# A store in the same region, and 25 Gbit/s. Each host has 2 TB of NVMe for the cache.
REGION = Store(latency=20e-3, network=3 * GB, connection=90 * MB)
TRAINER = Host(cache=2 * TB)


def scale(row: int) -> str:
    data = Data(size=10 * TB, row=row, hosts=64)
    found = []
    for name, which, e in plans(data, REGION, TRAINER):
        hours, fetched = f"{e.hours:.2g}", number(e.fetched) + "B" if e.fetched else "0"
        found.append([name, which, number(e.rows), hours, fetched, number(e.requests), e.limit])
    return table(["order", "epoch", "rows/s", "hours", "fetched", "requests", "limit"], found)


# The server of `cargo bench -p burn-npy-cloud --bench latency`, on the machine of the measurements:
# the latency is that of the requests of 4 KiB, and the network is what came by those of 4 MiB.
SERVER = Store(latency=22e-3, network=2120 * MB)
# (what, bytes of a request, of a row, MB/s)
MEASURED = [
    ("`get_range` of 64 KiB", 64 * KIB, 64 * KIB, 190.9),
    ("`get_range` of 256 KiB", 256 * KIB, 256 * KIB, 728.5),
    ("`get_range` of 1 MiB", MIB, MIB, 1739.1),
    ("a loader, rows of 256 KiB, shuffled", 256 * KIB, 256 * KIB, 790.9),
    ("a loader, rows of 256 KiB, in blocks", MIB, 256 * KIB, 1495.1),
    ("a loader, rows of 1 MiB, in blocks", MIB, MIB, 1739.3),
    ("a loader, rows of 4 MiB, in order", MIB, 4 * MIB, 1785.5),
]


def compared() -> tuple[str, float]:
    """The model beside what was measured, and the largest error."""
    rows, worst = [], 0.0
    for what, request, row, measured in MEASURED:
        model = fetch(SERVER, Host(), request, row) / MB
        worst = max(worst, abs(measured / model - 1))
        rows.append([what, f"{model:.0f}", f"{measured:.0f}", f"{measured / model:.2f}"])
    return table(["requests", "model, MB/s", "measured", "times"], rows), worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the page or the model is off")
    measured, worst = compared()
    tables = [measured, *(scale(row) for row in [784, 150_528, 1_000_000])]
    if not parser.parse_args().check:
        print("\n".join(tables))
        return
    page = (pathlib.Path(__file__).parent.parent / "SCALE.md").read_text()
    if missing := [text for text in tables if text not in page]:
        sys.exit("docs/SCALE.md has other numbers than these:\n\n" + "\n".join(missing))
    if worst > 0.3:
        sys.exit(f"the model is off by {worst:.0%}:\n\n{measured}")


if __name__ == "__main__":
    main()
