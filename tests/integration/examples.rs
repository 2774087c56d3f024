//! The examples do what their comments say.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::skip;

/// An example that was built with the tests, as `cargo test` does.
fn example(name: &str) -> Option<Command> {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(name);
    if !path.exists() {
        skip("the examples are built only by a plain `cargo test`");
        return None;
    }
    Some(Command::new(path))
}

fn stdout(mut command: Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tensor_slices_prints_the_tutorial() {
    let Some(command) = example("tensor_slices") else {
        return;
    };
    let printed = stdout(command);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "first element: 1",
            "[1, 2, 3]",
            "[4, 5, 6]",
            "[7, 8, 9]",
            "[10]"
        ]
    );

    // Each row with its label, whatever the order.
    let together = [
        ("1.0, 3.0", "0"),
        ("2.0, 1.0", "1"),
        ("3.0, 3.0", "0"),
        ("4.0, 0.0", "1"),
        ("5.0, 2.0", "0"),
    ];
    let mut found = Vec::new();
    for line in &lines[5..8] {
        let (features, labels) = line
            .strip_prefix("features [")
            .and_then(|line| line.strip_suffix(']'))
            .and_then(|line| line.split_once("], labels ["))
            .unwrap();
        let features: Vec<_> = features.split(", ").collect();
        let rows = features.chunks(2).map(|row| row.join(", "));
        found.extend(rows.zip(labels.split(", ").map(str::to_owned)));
    }
    assert_eq!(found.len(), 5);
    for (row, label) in &together {
        assert!(
            found.contains(&(row.to_string(), label.to_string())),
            "{row}"
        );
    }
    assert_eq!(lines[8..], ["[1000, 10] F64"; 10]);
}

/// What an example prints, without its numbers, which depend on the processor.
fn without_numbers(text: &str) -> String {
    let mut shape = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_digit() { '0' } else { c };
        if c != '0' || !shape.ends_with('0') {
            shape.push(c);
        }
    }
    shape
}

/// The other examples take too long without optimisation. `.ci/run` runs all of them.
#[test]
fn examples_print_what_their_comments_say() {
    let after = |text: &str, start: &str| -> f64 {
        let (_, rest) = text.rsplit_once(start).unwrap_or_else(|| panic!("{text}"));
        rest.split([' ', ',', '\n'])
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    for (name, file) in [
        ("table", "table.rs"),
        ("time_series", "time_series.rs"),
        ("predict", "predict.rs"),
        ("text", "text.rs"),
        ("from_burn", "from_burn/main.rs"),
    ] {
        let Some(command) = example(name) else {
            return;
        };
        let printed = stdout(command);
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples")
            .join(file);
        let source = std::fs::read_to_string(file).unwrap();
        let comments = source.lines().map_while(|line| line.strip_prefix("//!"));
        let in_block = comments.skip_while(|line| *line != " ```text").skip(1);
        let block: String = in_block
            .take_while(|line| *line != " ```")
            .map(|line| format!("{}\n", line.trim_start()))
            .collect();
        assert_eq!(
            without_numbers(&printed),
            without_numbers(&block),
            "{printed}"
        );

        match name {
            "table" => assert!(after(&printed, "test R2: ") > 0.95, "{printed}"),
            "time_series" => {
                let naive = after(&printed, "test mean squared error: ");
                assert!(3.0 * after(&printed, "value, ") < naive, "{printed}");
            }
            "predict" => {
                assert!(printed.starts_with("2000 rows, in the order of the file: true"));
                assert!(after(&printed, "test accuracy: ") > 0.8, "{printed}");
            }
            "text" => {
                let always = after(&printed, "and ");
                assert!(
                    after(&printed, "test accuracy: ") > always + 0.05,
                    "{printed}"
                );
            }
            _ => {
                let last = "burn-npy: the same order for any number of workers: true\n";
                assert!(printed.ends_with(last), "{printed}");
                assert_eq!(printed.matches("all once: true").count(), 6, "{printed}");
            }
        }
    }
}

/// As by `example | true`.
#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_no_trouble() {
    use std::process::Stdio;
    for (name, args) in [
        ("tensor_slices", &[][..]),
        ("mnist", &["--epochs", "1"]),
        ("resume", &["--steps", "5"]),
    ] {
        let Some(mut command) = example(name) else {
            return;
        };
        let (read, write) = std::io::pipe().unwrap();
        // Before it begins, so nothing that it prints is read.
        drop(read);
        let run = command.args(args).stdout(write).stderr(Stdio::piped());
        let output = run.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        // Messages of a graphics driver are ignored.
        let complains = errors.contains("panicked") || errors.contains("Broken pipe");
        assert!(output.status.success() && !complains, "{name}: {errors}");
    }
}

#[cfg(unix)]
#[test]
fn resume_finds_identical_losses() {
    let Some(mut command) = example("resume") else {
        return;
    };
    command.args(["--steps", "30"]);
    let printed = stdout(command);
    assert_eq!(
        printed.matches("(signal: 9 (SIGKILL))").count(),
        3,
        "{printed}"
    );
    let last = printed.lines().last().unwrap();
    assert!(last.starts_with("identical: all 30 losses"), "{printed}");
}
