"""Prints how many lines each job takes, as a Markdown table.

The lines of a job are those between `# job N` and `# end` (`// job N` and `// end` in Rust, also
behind `//!` or `///`), in one place or in several, without blank lines, comments and imports. All
files are formatted to 100 columns, by ruff and by rustfmt. What has no line says "-".
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The files of each column, from the root of the repository. The lines of several are added.
COLUMNS = {
    "burn-npy": ["docs/compare/jobs.rs"],
    "PyTorch": ["docs/compare/torch_jobs.py"],
    "tf.data or Grain": ["docs/compare/tfdata_jobs.py"],
}
# For each language: where a job begins and ends, what stands before the code in a doc comment, and
# the lines that do not count. An import of several lines ends with its bracket.
LANGUAGES = {
    ".py": {
        "begin": r"# job (\d+)",
        "end": r"# end",
        "doc": r"",
        "comment": r"#",
        "import": r"import |from \S+ import ",
        "import_end": r"[^(]*$|.*\)$",
    },
    ".rs": {
        "begin": r"// job (\d+)",
        "end": r"// end",
        "doc": r"//[!/](?!/) ?(# )?",
        "comment": r"//|```",
        "import": r"(pub )?use |extern crate ",
        "import_end": r".*;$",
    },
}
JOBS = {
    1: "files for training and validation",
    2: "one `.npz`",
    3: "CIFAR: channels first, normalised",
    4: "crop and flip, in training only",
    5: "a table, the label last",
    6: "windows with a horizon",
    7: "windows of tokens, x and y",
    8: "variable lengths, padded, a mask",
    9: "a hundred shards, mapped",
    10: "rare classes, balanced",
    11: "resume in a loop of one's own",
    12: "filter and concat",
    13: "stratified folds, trained",
    14: "predictions as `.npy`",
}


def count(path):
    """The lines of each job in a file."""
    language, lines = LANGUAGES[path.suffix], {}
    job = None
    in_import = False
    for place, line in enumerate(path.read_text().splitlines(), 1):
        line = re.sub(rf"^{language['doc']}", "", line.strip()).strip()
        if begin := re.fullmatch(language["begin"], line):
            if job:
                sys.exit(f"{path}:{place}: job {job} has no end")
            job = int(begin[1])
            if job not in JOBS:
                sys.exit(f"{path}:{place}: there is no job {job}")
        elif re.fullmatch(language["end"], line):
            if not job:
                sys.exit(f"{path}:{place}: no job begins before this end")
            job = None
        elif in_import or re.match(language["import"], line):
            in_import = not re.match(language["import_end"], line)
        elif job and line and not re.match(language["comment"], line):
            lines[job] = lines.get(job, 0) + 1
    if job:
        sys.exit(f"{path}: job {job} has no end")
    return lines


def main():
    columns = {}
    for name, files in COLUMNS.items():
        columns[name] = {}
        for lines in (count(ROOT / file) for file in files):
            for job, number in lines.items():
                columns[name][job] = columns[name].get(job, 0) + number
    print("| lines | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for job, title in JOBS.items():
        cells = [str(lines.get(job, "-")) for lines in columns.values()]
        print(f"| {job}. {title} | " + " | ".join(cells) + " |")
    sums = [sum(lines.values()) if len(lines) == len(JOBS) else "-" for lines in columns.values()]
    print("| all | " + " | ".join(map(str, sums)) + " |")


if __name__ == "__main__":
    main()
