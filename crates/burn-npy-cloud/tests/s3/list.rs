//! Folders of objects.

use burn_npy::file::write_npy;
use burn_npy::ndarray::array;
use burn_npy::{ErrorKind, NpyDataset};

use crate::server::Bucket;

fn npy(value: i64) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    write_npy(&path, &array![value]).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn folders_and_patterns_are_listed() {
    let bucket = Bucket::new();
    for key in [
        "train/shard_10.npy",
        "train/shard_2.npy",
        "train/notes.txt",
        "train/more/shard_1.npy",
        "training.npy",
    ] {
        bucket.put(key, "");
    }
    let cloud = bucket.cloud();
    let list = |pattern: &str| cloud.list(&format!("s3://bucket/{pattern}")).unwrap();
    let url = |key: &&str| format!("s3://bucket/{key}");
    let expected = |keys: &[&str]| keys.iter().map(url).collect::<Vec<_>>();
    let folder = ["train/notes.txt", "train/shard_2.npy", "train/shard_10.npy"];
    assert_eq!(list("train/"), expected(&folder));
    assert_eq!(list("train"), expected(&folder));
    assert_eq!(list("train/shard_*.npy"), expected(&folder[1..]));
    assert_eq!(list("train/shard_?.npy"), expected(&folder[1..2]));
    assert_eq!(list(""), expected(&["training.npy"]));
    assert_eq!(list("*.npy"), expected(&["training.npy"]));
    assert_eq!(list("train/*/*.npy"), expected(&["train/more/shard_1.npy"]));
    let all = ["train/more/shard_1.npy", folder[1], folder[2]];
    assert_eq!(list("train/**/*.npy"), expected(&all));
}

#[test]
fn nothing_to_list_is_an_error() {
    let bucket = Bucket::new();
    bucket.put("train/notes.txt", "");
    let cloud = bucket.cloud();
    for (url, text) in [
        ("s3://bucket/test/", "nothing in the folder \"test\""),
        ("s3://bucket/test/*.npy", "nothing in the folder \"test\""),
        (
            "s3://bucket/train/*.npy",
            "no object matches; there are \"train/notes.txt\"",
        ),
        ("s3://bucket/train/[.npy", "malformed"),
    ] {
        let error = cloud.list(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().starts_with(url), "{error}");
    }
    let error = cloud.list("s3://other/train/").unwrap_err();
    assert!(error.to_string().contains("no bucket `other`"), "{error}");
}

#[test]
fn a_folder_of_shards_is_one_dataset() {
    let bucket = Bucket::new();
    for shard in 0..40 {
        bucket.put(&format!("train/{shard}.npy"), npy(shard));
    }
    let cloud = bucket.cloud();
    let shards = cloud.list("s3://bucket/train/*.npy").unwrap();
    let open = || NpyDataset::from_shards_with(&shards, cloud.open_options());
    let rows = open().unwrap().read::<i64>("data").unwrap();
    assert!(rows.iter().copied().eq(0..40), "{rows}");
    // Of several errors, that of the first.
    for shard in [39, 7, 20] {
        bucket.delete(&format!("train/{shard}.npy"));
        let error = open().unwrap_err().to_string();
        let first = if shard == 39 { 39 } else { 7 };
        assert!(
            error.starts_with(&format!("s3://bucket/train/{first}.npy: ")),
            "{error}"
        );
    }
}
