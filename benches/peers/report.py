"""The records of `run` as a Markdown table and as an SVG plot.

report.py FILE.json writes FILE.md and FILE.svg.
"""

import json
import os
import platform
import sys
from html import escape
from itertools import groupby
from pathlib import Path

NAMES = {
    "ours": "burn-npy",
    "limit": "copy loop",
    "torch": "PyTorch",
    "tfdata": "tf.data",
    "numpy": "NumPy",
    "grain": "Grain",
    "burn": "Burn",
}
COLOURS = {"ours": "#d9480f", "limit": "#adb5bd"}
PEER_COLOUR = "#4c6ef5"
# A panel of the plot, in pixels.
WIDTH, LABELS, VALUES, BAR, GAP, TITLE = 340, 70, 62, 14, 6, 30


def number(value):
    """Three digits: 1.23 M, 45.6 k."""
    for size, unit in ((1e6, " M"), (1e3, " k"), (1, "")):
        if value >= size or size == 1:
            return f"{value / size:.3g}{unit}"


def cases(records):
    """The records of each workload and batch size, in the order in which they came."""
    groups = groupby(records, lambda record: (record["workload"], record["batch"]))
    return [(case, list(group)) for case, group in groups]


def place(record):
    """The sort key of a record, best first: the rate, or with a model step the ratio of times."""
    return record.get("over_compute", -record["samples_s"])


def figure(record):
    """The figure that counts, as text."""
    if "over_compute" in record:
        return f"{record['over_compute']:.3f}"
    return number(record["samples_s"])


def best(records):
    """The best idiom of each contender, the best contender first."""
    found = {}
    for record in sorted(records, key=place):
        found.setdefault(record["who"], record)
    return list(found.values())


def works_ahead(record):
    """Whether a peer loads batches before it is asked for them."""
    idiom, _, threads = record["idiom"].rpartition("-")
    with_threads = idiom in ("threads", "nodes", "usual", "best") and threads != "0"
    return with_threads or record["who"] in ("tfdata", "grain")


def verdict(records):
    """How ours compares with the others, in a sentence. Model steps have no rate to compare."""
    ours = [r for r in records if r["who"] == "ours"]
    peers = [r for r in records if r["who"] not in ("ours", "limit")]
    others = {
        "the best peer": peers,
        "the best that works ahead": [r for r in peers if works_ahead(r)],
        "from_tensor_slices": [r for r in peers if r["idiom"].startswith("from_tensor_slices")],
        "the copy loop": [r for r in records if r["who"] == "limit"],
    }
    if not ours or not any(others.values()) or "over_compute" in records[0]:
        return ""
    times = [f"{rate(ours) / rate(of):.2f} times {name}" for name, of in others.items() if of]
    return f"burn-npy reaches {', '.join(times)}.\n"


def rate(records):
    """That of the fastest; NaN if there are none."""
    return max((record["samples_s"] for record in records), default=float("nan"))


def table(records):
    """All idioms, a section for each workload and batch size, the fastest first."""
    lines = []
    for (workload, batch), case in cases(records):
        limit = rate([r for r in case if r["who"] == "limit"])
        lines += [f"### {workload}, batches of {batch}", "", *filter(None, [verdict(case)])]
        step = "over_compute" in case[0]
        head = ["", "rows/s", "slowest – fastest", "of the limit", "first batch", "peak memory"]
        head += ["over compute", "over its steps"] if step else []
        lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        for r in sorted(case, key=place):
            cells = [
                f"{NAMES[r['who']]}, {r['idiom']}".replace("_", r"\_"),
                number(r["samples_s"]),
                f"{number(r['samples_s_min'])} – {number(r['samples_s_max'])}",
                f"{r['samples_s'] / limit:.2f}" if limit == limit else "",
                f"{r['first_batch_ms']:.{1 if r['first_batch_ms'] < 100 else 0}f} ms",
                f"{r['rss_mb']:.0f} MB",
            ]
            cells += [f"{r[name]:.3f}" for name in ("over_compute", "over_its_steps") if step]
            if r["who"] == "ours":
                cells[0] = f"**{cells[0]}**"
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def summary(records):
    """The best idiom of each contender, a line for each workload and batch size."""
    present = [who for who in NAMES if any(record["who"] == who for record in records)]
    unit = "over compute" if "over_compute" in records[0] else "rows/s"
    lines = [
        f"| {unit} | " + " | ".join(NAMES[who] for who in present) + " |",
        "|---" * (len(present) + 1) + "|",
    ]
    for (workload, batch), case in cases(records):
        figures = {record["who"]: figure(record) for record in best(case)}
        cells = [figures.get(who, "") for who in present]
        cells = [f"**{cell}**" if who == "ours" else cell for who, cell in zip(present, cells)]
        lines.append(f"| {workload}, {batch} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def machine():
    """The machine in a line."""
    with open("/proc/cpuinfo") as info:
        models = (line.split(":")[1].strip() for line in info if line.startswith("model name"))
        model = next(models, "") or platform.machine()
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {gib:.0f} GiB, Linux {platform.release()}"


def panel(case, records):
    """The bars of one workload and batch size; for rates with a line from slowest to fastest."""

    def ends(record):
        if "over_compute" in record:
            return [record["over_compute"]] * 3
        return [record[f"samples_s{end}"] for end in ("_min", "", "_max")]

    scale = (WIDTH - LABELS - VALUES) / max(max(ends(record)) for record in records)
    title = f"{escape(case[0])}, batches of {case[1]}"
    parts = [f'<text x="{LABELS}" y="16" class="title">{title}</text>']
    for line, record in enumerate(records):
        y = TITLE + line * (BAR + GAP)
        low, bar, high = (LABELS + end * scale for end in ends(record))
        colour, middle = COLOURS.get(record["who"], PEER_COLOUR), y + BAR / 2
        parts += [
            f'<text x="{LABELS - 6}" y="{y + 11}" class="who">{NAMES[record["who"]]}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{bar - LABELS:.1f}" height="{BAR}" fill="{colour}">'
            f"<title>{escape(record['idiom'])}</title></rect>",
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#212529"/>',
            f'<text x="{high + 5:.1f}" y="{y + 11}">{figure(record)}</text>',
        ]
    return parts


def plot(records):
    """A panel for each workload and batch size, with the best idiom of each contender."""
    shown = [(case, best(of)) for case, of in cases(records)]
    columns = list(dict.fromkeys(workload for (workload, _), _ in shown))
    lines = list(dict.fromkeys(batch for (_, batch), _ in shown))
    # One of each workload stands side by side, whatever its batch.
    if len(columns) == len(shown):
        lines = [None]
    height = TITLE + max(len(of) for _, of in shown) * (BAR + GAP) + 14
    size = (max(2, len(columns)) * WIDTH, len(lines) * height + 20)
    box = 'width="{0}" height="{1}" viewBox="0 0 {0} {1}"'.format(*size)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        "<style>text{font:11px sans-serif;fill:#212529}"
        ".title{font-weight:bold}.who{text-anchor:end}</style>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for (workload, batch), of in shown:
        line = lines.index(batch) if batch in lines else 0
        x, y = columns.index(workload) * WIDTH, line * height
        parts += [f'<g transform="translate({x} {y})">', *panel((workload, batch), of), "</g>"]
    note = (
        "rows a second of one shuffled epoch, the best idiom of each; "
        "medians, from the slowest round to the fastest"
    )
    if "over_compute" in records[0]:
        note = (
            "an epoch with a model step after each batch over the steps alone, "
            "the best idiom of each; 1 is ideal"
        )
    parts += [f'<text x="8" y="{size[1] - 8}">{note}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def write(file):
    """Writes the table and the plot beside the records, and gives the summary."""
    records = json.loads(Path(file).read_text())
    if not records:
        return "nothing was measured"
    short = summary(records)
    Path(file).with_suffix(".md").write_text(f"{machine()}\n\n{short}\n{table(records)}")
    Path(file).with_suffix(".svg").write_text(plot(records))
    return short


if __name__ == "__main__":
    print(write(sys.argv[1]))
