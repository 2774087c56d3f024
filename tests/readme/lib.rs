//! The Rust snippets of the README, which are compiled and run as doctests.
//!
//! They are in the workspace's own package, since the README is not part of the source of a
//! published crate.

#![doc = include_str!("../../README.md")]
