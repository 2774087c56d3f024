//! The part of the README that is not a whole program is a part of one.

const README: &str = include_str!("../../README.md");
const CONSUMER: &str = include_str!("../consumer/src/main.rs");

#[test]
fn the_learner_of_the_readme_is_that_of_the_consumer() {
    let (_, after) = README.split_once("```rust,ignore\n").unwrap();
    let (snippet, after) = after.split_once("```").unwrap();
    assert!(
        !after.contains("rust,ignore"),
        "one snippet is not compiled by itself"
    );
    let program: String = CONSUMER
        .lines()
        .map(|line| line.trim().to_owned() + "\n")
        .collect();
    assert!(
        snippet.lines().count() > 4 && program.contains(snippet),
        "{snippet}"
    );
}
