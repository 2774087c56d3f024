//! A mount whose inode numbers change from look to look, as some network mounts' do.
#![cfg(target_os = "linux")]

use std::process::Command;

use burn_npy_core::{
    Array,
    file::{Access, Column, OpenOptions, write_npy},
};

#[test]
fn an_inode_number_that_changes_is_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("library.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/unstable_inode.c");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", source, "-ldl", "-o"])
        .arg(&library)
        .status();
    assert!(status.expect("a C compiler").success());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["reader", "--exact", "--ignored", "--nocapture"])
        .env("LD_PRELOAD", &library)
        .status();
    assert!(status.unwrap().success());
}

#[test]
#[ignore = "a process of the other test"]
fn reader() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("unstable.npy");
    write_npy(&path, &ndarray::array![1_i64, 2, 3]).unwrap();
    let inode = || std::fs::metadata(&path).unwrap().ino();
    assert_ne!(inode(), inode());
    for access in [Access::Mapped, Access::Positioned] {
        let options = OpenOptions::new().access(access);
        let column = Column::new(Array::open_with(&path, options).unwrap()).unwrap();
        for _ in 0..500 {
            assert_eq!(
                column.read::<i64>(&[2, 0]).unwrap().as_slice(),
                Some(&[3, 1][..])
            );
        }
    }
}
