"""The records of `run` as a Markdown table and as an SVG plot.

report.py FILE.json writes FILE.md, and FILE.svg unless the records are of model steps.
"""

import json
import math
import os
import platform
import sys
from html import escape
from itertools import groupby
from pathlib import Path

NAMES = {
    "ours": "burn-npy",
    "limit": "copy loop in C",
    "torch": "PyTorch",
    "tfdata": "tf.data",
    "numpy": "NumPy by hand",
    "grain": "Grain",
    "burn": "Burn's loader",
}
# The idiom that the tutorial of a contender has.
USUAL = {
    "torch": "tensor_dataset",
    "tfdata": "from_tensor_slices",
    "numpy": "take",
    "grain": "elements",
    "burn": "usual",
}
# The panels of the plot: the title of a workload, and the batch size that is shown.
PANELS = {
    "mnist": ("28 x 28 u8 images to f32", 256),
    "table": ("Table of 10 f64 columns to f32", 256),
    "images": ("3 x 64 x 64 u8 images to f32", 256),
    "rows": ("3 x 224 x 224 f32 images, copied", 64),
}
# A panel of the plot, in pixels: its width and left margin, the columns of names and of figures.
WIDTH, MARGIN, LABELS, VALUES = 400, 16, 112, 64
# A bar, the line that it stands in, the gap between two contenders, and the room for the text above
# and below the bars.
BAR, LINE, GAP, ABOVE, BELOW = 11, 15, 8, 50, 58
# The legend above all panels.
LEGEND = 64
STYLE = """
text { font: 14px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
text { fill: #1f2328 }
.title { font-weight: 600 }
.note { fill: #59636e }
.page { fill: #ffffff }
.grid { stroke: #d1d9e0 }
.ours { fill: #d9480f }
.peer { fill: #5c7cfa }
.usual { fill: #bac8ff }
.whisker, .limit { stroke: #1f2328; fill: none }
.limit { stroke-dasharray: 5 4; stroke-width: 1.5 }
.figure { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .note { fill: #9198a1 }
  .page { fill: #0d1117 }
  .grid { stroke: #3d444d }
  .ours { fill: #f76707 }
  .peer { fill: #748ffc }
  .usual { fill: #36488f }
  .whisker, .limit { stroke: #f0f6fc }
  .figure { stroke: #0d1117 }
}
"""


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


def three_digits(value):
    """1.20, 45.6, 789, 0.0123."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def text(x, y, words, kind="name", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{words}</text>'


def ticks(end):
    """At most five round numbers from 0 on, as far as `end`."""
    power = 10 ** math.floor(math.log10(end))
    step = next(s * power for s in (0.2, 0.25, 0.5, 1, 2, 2.5) if end / (s * power) < 5)
    return [step * number for number in range(int(end / step) + 1)]


def bars(who, records):
    """The bars of a contender: the best idiom, then the usual one; and how each is drawn."""
    records = sorted((r for r in records if r["who"] == who), key=place)
    usual = [r for r in records[1:] if r["idiom"].rpartition("-")[0] == USUAL.get(who)]
    best = [(record, "ours" if who == "ours" else "peer") for record in records[:1]]
    return best + [(record, "usual") for record in usual[:1]]


def panel(title, contenders, records):
    """The bars of one workload, each with a line from the slowest round to the fastest."""
    limits = [r["samples_s"] for r in records if r["who"] == "limit"]
    ends = [r["samples_s_max"] for who in contenders for r, _ in bars(who, records)]
    end = max(ends + limits)
    size, unit = (1e6, "million") if end >= 1e6 else (1e3, "thousand")
    scale = (WIDTH - LABELS - VALUES) / end
    bottom = ABOVE + len(contenders) * (2 * LINE + GAP)
    parts = [text(MARGIN, 18, escape(title), "title")]
    for tick in ticks(end):
        x = LABELS + tick * scale
        parts.append(f'<path d="M{x:.1f} {ABOVE}V{bottom}" class="grid"/>')
        parts.append(text(x, bottom + 18, f"{tick / size:g}", "note", "middle"))
    middle = LABELS + (WIDTH - LABELS - VALUES) / 2
    parts.append(text(middle, bottom + 38, f"{unit} rows a second", "note", "middle"))
    figures = []
    for number, who in enumerate(contenders):
        top = ABOVE + GAP / 2 + number * (2 * LINE + GAP)
        parts.append(text(LABELS - 8, top + LINE + 5, NAMES[who], anchor="end"))
        shown = bars(who, records)
        if not shown:
            parts.append(text(LABELS + 6, top + LINE + 5, "not measured", "note"))
        for line, (record, kind) in enumerate(shown):
            y = top + (line + (2 - len(shown)) / 2) * LINE + LINE / 2
            low, bar, high = (record[f"samples_s{end}"] * scale for end in ("_min", "", "_max"))
            parts += [
                f'<rect x="{LABELS}" y="{y - BAR / 2}" width="{bar:.1f}" height="{BAR}" '
                f'class="{kind}"><title>{escape(record["idiom"])}</title></rect>',
                f'<path d="M{LABELS + low:.1f} {y}H{LABELS + high:.1f}" class="whisker"/>',
            ]
            words = three_digits(record["samples_s"] / size)
            figures.append(text(LABELS + high + 6, y + 5, words, "figure"))
    if limits:
        x = LABELS + max(limits) * scale
        parts.append(f'<path d="M{x:.1f} {ABOVE - 6}V{bottom}" class="limit"/>')
        words = f"copy loop {three_digits(max(limits) / size)}"
        parts.append(text(min(x, WIDTH - 60), ABOVE - 12, words, anchor="middle"))
    # Last, so that no line goes through them.
    return parts + figures


def plot(records):
    """Two panels a line, one for each workload, with the best and the usual idiom of each."""
    shown = []
    for workload, (title, batch) in PANELS.items():
        case = [record for record in records if record["workload"] == workload]
        batches = {record["batch"] for record in case}
        batch = batch if batch in batches else min(batches, default=0)
        if case:
            case = [record for record in case if record["batch"] == batch]
            shown.append((f"{title}, batches of {batch}", case))
    # The same lines in each panel, so that they can be compared.
    measured = {record["who"] for _, case in shown for record in case}
    contenders = [who for who in NAMES if who in measured and who != "limit"]
    height = ABOVE + len(contenders) * (2 * LINE + GAP) + BELOW
    size = (2 * WIDTH, LEGEND + math.ceil(len(shown) / 2) * height)
    box = 'width="{0}" height="{1}" viewBox="0 0 {0} {1}"'.format(*size)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">',
        "<title>Rows a second of each loader; higher is better</title>",
        f"<style>{STYLE}</style>",
        '<rect width="100%" height="100%" class="page"/>',
        *legend("limit" in measured),
    ]
    for number, (title, case) in enumerate(shown):
        x, y = number % 2 * WIDTH, LEGEND + number // 2 * height
        body = panel(title, contenders, case)
        parts += [f'<g transform="translate({x} {y})">', *body, "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def legend(with_limit):
    """What the colours and lines mean."""
    parts = [
        text(16, 20, "Rows a second of one shuffled epoch, higher is better", "title"),
        '<rect x="16" y="36" width="16" height="11" class="ours"/>',
        '<rect x="34" y="36" width="16" height="11" class="peer"/>',
        text(56, 46, "the fastest program found"),
        '<rect x="254" y="36" width="16" height="11" class="usual"/>',
        text(276, 46, "as its tutorial has it"),
        '<path d="M434 41.5H458" class="whisker"/>',
        text(464, 46, "slowest to fastest round"),
    ]
    if with_limit:
        parts += ['<path d="M650 32V50" class="limit"/>', text(658, 46, "copy loop: the limit")]
    return parts


def write(file):
    """Writes the table and the plot beside the records, and gives the summary."""
    records = json.loads(Path(file).read_text())
    if not records:
        return "nothing was measured"
    short = summary(records)
    Path(file).with_suffix(".md").write_text(f"{machine()}\n\n{short}\n{table(records)}")
    # Beside a model step all are near 1, which needs no picture.
    if "over_compute" not in records[0]:
        Path(file).with_suffix(".svg").write_text(plot(records))
    return short


if __name__ == "__main__":
    print(write(sys.argv[1]))
