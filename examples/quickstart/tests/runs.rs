//! The example does what its comments say.

use std::process::Command;

fn quickstart() -> Command {
    Command::new(env!("CARGO_BIN_EXE_quickstart"))
}

#[test]
fn it_trains() {
    let output = quickstart().output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    let [dataset, batches, losses @ .., accuracy] = &lines[..] else {
        panic!("{printed}");
    };
    assert_eq!(
        *dataset,
        "NpyDataset { rows: 10000, images: float32 [28, 28], labels: uint8 [] }"
    );
    assert_eq!(*batches, "157 batches, the first: [64, 28, 28] [64]");
    let losses: Vec<f64> = losses.iter().map(|line| last_number(line)).collect();
    assert_eq!(losses.len(), 3);
    assert!(
        losses.is_sorted_by(|before, after| before > after),
        "{printed}"
    );
    assert!(last_number(accuracy) > 0.85, "{printed}");
}

fn last_number(line: &str) -> f64 {
    let (_, word) = line.rsplit_once(' ').unwrap();
    word.parse().unwrap()
}
