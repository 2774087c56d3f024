//! What `order` prints is the order of the core.

use std::process::{Command, Output, Stdio};

use burn_npy_core::order::Permutation;

fn command(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burn-npy"));
    command.arg("order").args(args.split_whitespace());
    command
}

fn output(args: &str) -> (Output, String) {
    let output = command(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, errors)
}

fn printed(args: &str) -> String {
    let (output, errors) = output(args);
    assert!(output.status.success(), "{args}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn rows(args: &str) -> Vec<u64> {
    let lines = printed(args);
    lines.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn it_prints_any_part_of_an_order() {
    let huge = 9_000_000_000_000_000_000;
    let found = rows(&format!(
        "--len {huge} --seed 5 --epoch 2 --start {} --count 3",
        huge - 2
    ));
    let permutation = Permutation::new(huge, 5, 2);
    assert!(found.into_iter().eq(permutation.rows(huge - 2..huge)));
    assert_eq!(rows("--len 5 --sampler sequential --start 3"), [3, 4]);
    assert_eq!(rows("--len=5 --sampler=sequential --start=5"), [0; 0]);
    assert_eq!(
        rows("--len 10 --sampler sequential --window 4 --stride 3"),
        [0, 3, 6]
    );
    let position = rows("--len 1000 --locate 77")[0];
    assert_eq!(
        rows(&format!("--len 1000 --start {position} --count 1")),
        [77]
    );
}

#[test]
fn its_shards_have_each_row_once() {
    for more in [
        "",
        "--sampler blocks --block-size 10 --mixed 3 --batch-size 7",
    ] {
        let mut all = Vec::new();
        for index in 0..4 {
            let args = format!("--len 1003 --seed 1 {more} --shard {index}/4");
            let found = rows(&args);
            assert_eq!(
                rows(&format!("{args} --start 11 --count 30")),
                found[11..41]
            );
            all.extend(found);
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1003));
    }
    let padded = "--len 7 --sampler sequential --shard 1/2 --batch-size 2 --tail pad";
    assert_eq!(printed(padded), "2\n3\n6\n0 padding\n");
    let mut drawn = rows("--len 7 --sampler sequential --shard 0/2 --batch-size 2");
    drawn.truncate(3);
    assert_eq!(drawn, [0, 1, 4]);
}

#[test]
fn bad_arguments_are_named() {
    for (args, message) in [
        ("", "required arguments were not provided: --len <N>"),
        ("--len", "a value is required for '--len <N>'"),
        ("--len=-1", "invalid value '-1' for '--len <N>'"),
        ("--len 9223372036854775809", "more than 2^63"),
        (
            "--len 5 --shard 5/5",
            "'5/5' for '--shard <I/N>': shard 5 of 5",
        ),
        (
            "--len 5 --sampler random",
            "invalid value 'random' for '--sampler <NAME>'",
        ),
        ("--len 5 --sampler weighted", "needs --weights FILE"),
        ("--len 5 --mixed 3", "--mixed has no meaning"),
        ("--len 5 --sampler blocks --mixed 0", "zero blocks"),
        ("--len 5 --index /does/not/exist", "/does/not/exist"),
        (
            "--len 5 --sampler balanced --labels /does/not/exist",
            "/does/not/exist",
        ),
        ("--len 5 --tail pad", "not provided: --shard <I/N>"),
        ("--len 5 --shard 0/1 --batch-size 0", "--batch-size 0"),
        ("--len 5 7", "unexpected argument '7'"),
    ] {
        let (output, errors) = output(args);
        assert_eq!(output.status.code(), Some(2), "{args}: {errors}");
        assert!(errors.contains(message), "{args}: {errors}");
    }
    assert!(printed("--help").contains("--sampler <NAME>"));
}

#[test]
fn a_reader_that_leaves_is_no_trouble() {
    let mut command = command("--len 1000000");
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
}
