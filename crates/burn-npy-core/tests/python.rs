//! `python/burn_npy.py` beside this crate: its orders and its random numbers, and files that both
//! write.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn_npy_core::file::{Access, Column, Npz, OpenOptions, append_npy};
use burn_npy_core::ndarray::{Array1, ArrayViewD, ArrayViewMutD, array};
use burn_npy_core::order::{Order, Partition, Permutation, Plan, PositionRng, Remainder, Shard};
use burn_npy_core::rand_core::Rng;
use burn_npy_core::transform::from_fn;
use burn_npy_core::{Array, Sampler};

/// Runs Python code after the imports, in a folder. `None` if there is no Python with NumPy.
fn python(folder: &Path, code: &str) -> Option<String> {
    let python = std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let numpy = Command::new(&python).args(["-c", "import numpy"]).output();
    if !numpy.is_ok_and(|output| output.status.success()) {
        let required = std::env::var_os("BURN_NPY_REQUIRE_ALL").is_some();
        assert!(!required, "there is no Python with NumPy");
        eprintln!("skipped: there is no Python with NumPy");
        return None;
    }
    let helper: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "python"]
        .iter()
        .collect();
    // The code may be longer than a command line.
    let mut child = Command::new(python)
        .args(["-W", "error", "-"])
        .current_dir(folder)
        .env("PYTHONPATH", helper)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let code = format!("import numpy as np\nimport burn_npy as bn\n{code}");
    input.write_all(code.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Lists of numbers, each with the Python expression that computes it.
#[derive(Default)]
struct Cases(Vec<(String, Vec<u64>)>);

impl Cases {
    fn add(&mut self, expression: String, numbers: impl IntoIterator<Item = u64>) {
        self.0.push((expression, numbers.into_iter().collect()));
    }

    fn order(&mut self, expression: String, order: &Order) {
        self.add(expression, order.rows(0..order.len()));
    }

    fn parts(&mut self, expression: String, parts: &Partition) {
        for part in 0..parts.count() {
            self.add(format!("{expression}[{part}]"), parts.rows(part));
        }
    }

    fn check(self) {
        let mut code = String::new();
        for (expression, _) in &self.0 {
            writeln!(code, "print(*{expression})").unwrap();
        }
        let Some(printed) = python(Path::new("."), &code) else {
            return;
        };
        assert_eq!(printed.lines().count(), self.0.len());
        for (line, (expression, expected)) in printed.lines().zip(&self.0) {
            let found = line.split_whitespace().map(|n| n.parse::<u64>().unwrap());
            assert!(found.eq(expected.iter().copied()), "{expression}");
        }
    }
}

/// Seeds and epochs.
const DRAWS: [(u64, u64); 3] = [(0, 0), (42, 7), (u64::MAX, u64::MAX)];

#[test]
fn orders_of_all_rows() {
    let mut cases = Cases::default();
    for len in [1, 2, 97, 1000, 4096, 4097, 9000] {
        for (seed, epoch) in DRAWS {
            let draw = format!("{seed}, {epoch}");
            cases.order(
                format!("bn.shuffled({len}, {draw})"),
                &Sampler::shuffled(seed).order(len, epoch),
            );
            for (block, mixed) in [(1, 1), (10, 3), (700, 8), (1 << 63, 1 << 63)] {
                cases.order(
                    format!("bn.blocks({len}, {block}, {mixed}, {draw})"),
                    &Sampler::blocks(block, mixed, seed)
                        .unwrap()
                        .order(len, epoch),
                );
            }
            let lengths = || (0..len).map(|row| row * 7919 % 41);
            cases.order(
                format!("bn.bucketed(np.arange({len}) * 7919 % 41, 7, {draw})"),
                &Sampler::bucketed(lengths(), 7, seed)
                    .unwrap()
                    .order(len, epoch),
            );
            let order = Sampler::max_tokens(lengths(), 100, seed).unwrap();
            let order = order.order(len, epoch);
            let found = format!("bn.max_tokens(np.arange({len}) * 7919 % 41, 100, {draw})");
            cases.order(format!("np.concatenate({found})"), &order);
            cases.add(
                format!("np.cumsum([len(batch) for batch in {found}])"),
                order.batch_ends().unwrap().iter().copied(),
            );
        }
        for epoch in 0..4 {
            let sampler = Sampler::shuffled(3).epoch_len(700).unwrap();
            cases.order(
                format!("bn.epoch_len(lambda one: bn.shuffled({len}, 3, one), 700, {epoch})"),
                &sampler.order(len, epoch),
            );
        }
    }
    for (seed, epoch) in DRAWS {
        let permutation = Permutation::new(1 << 62, seed, epoch);
        cases.add(
            format!("bn.permutation_at(np.arange(2**61, 2**61 + 999), 2**62, {seed}, {epoch})"),
            permutation.rows(1 << 61..(1 << 61) + 999),
        );
    }
    cases.check();
}

#[test]
fn orders_that_are_drawn() {
    let mut cases = Cases::default();
    for len in [1, 5, 1000, 5000] {
        let weights: Vec<f64> = (0..len)
            .map(|row| (row * 7919 % 97 + 1) as f64 * 0.37)
            .collect();
        let labels = || (0..len).map(|row| row * row % 7);
        let rows = format!("np.arange({len})");
        for (seed, epoch) in DRAWS {
            let draw = format!("{seed}, {epoch}");
            cases.order(
                format!("bn.with_replacement({len}, {draw})"),
                &Sampler::with_replacement(seed).order(len, epoch),
            );
            let given = format!("({rows} * 7919 % 97 + 1) * 0.37, {draw}");
            let weighted = Sampler::weighted(&weights, seed).unwrap();
            cases.order(
                format!("bn.weighted({given}, 2000)"),
                &weighted.draws(2000).unwrap().order(len, epoch),
            );
            let without = Sampler::weighted_without_replacement(&weights, seed).unwrap();
            cases.order(
                format!("bn.weighted_without_replacement({given})"),
                &without.clone().order(len, epoch),
            );
            cases.order(
                format!("bn.weighted_without_replacement({given}, {})", len / 2),
                &without.draws(len / 2).unwrap().order(len, epoch),
            );
            let balanced = Sampler::balanced(labels(), seed).unwrap();
            cases.order(
                format!("bn.balanced({rows} ** 2 % 7, {draw}, 3000)"),
                &balanced.draws(3000).unwrap().order(len, epoch),
            );
        }
    }
    for weights in [
        &[0.0, 5e-324, 1e-323, 5e-324][..],
        &[f64::MAX, f64::MAX, 0.0, 1.0],
    ] {
        let weighted = Sampler::weighted(weights, 1).unwrap().draws(50).unwrap();
        cases.order(
            format!("bn.weighted({weights:?}, 1, 0, 50)"),
            &weighted.order(4, 0),
        );
        let without = Sampler::weighted_without_replacement(weights, 1).unwrap();
        cases.order(
            format!("bn.weighted_without_replacement({weights:?}, 1)"),
            &without.order(4, 0),
        );
    }
    cases.check();
}

#[test]
fn lists_and_windows() {
    let mut cases = Cases::default();
    let list = vec![5, 5, 900, 3, 12];
    cases.order(
        "np.array([5, 5, 900, 3, 12])[bn.shuffled(5, 1, 2)]".to_owned(),
        &Sampler::shuffled(1).index(list).unwrap().order(1000, 2),
    );
    for (len, window, stride) in [(100, 7, 3), (10, 10, 1), (9, 10, 1), (31, 4, 9)] {
        let sampler = Sampler::sequential().windows(window, stride).unwrap();
        cases.order(
            format!("bn.windows({len}, {window}, {stride})"),
            &sampler.order(len, 0),
        );
    }
    cases.check();
}

#[test]
fn batches_of_shards() {
    let mut cases = Cases::default();
    for (len, batch, count) in [(0, 3, 2), (17, 3, 2), (100, 7, 3), (5, 2, 4), (64, 8, 8)] {
        for (name, remainder) in [
            ("drop", Remainder::Drop),
            ("pad", Remainder::Pad),
            ("uneven", Remainder::Uneven),
            ("spread", Remainder::Spread),
        ] {
            for (drop_last, index) in [(false, 0), (false, count - 1), (true, 0), (true, 1)] {
                let shard = Shard::new(index, count).unwrap();
                let plan = Plan::new(0..len, batch, drop_last).shard(shard, remainder);
                let flag = if drop_last { "True" } else { "False" };
                let found =
                    format!("bn.batches({len}, {batch}, ({index}, {count}), {flag}, '{name}')");
                // A batch and its padding, each after its length.
                let mut expected = Vec::new();
                for batch in 0..plan.num_batches() {
                    for part in [plan.batch(batch).collect(), plan.padding(batch).collect()] {
                        let part: Vec<u64> = part;
                        expected.push(part.len() as u64);
                        expected.extend(part);
                    }
                }
                let flat = "[n for batch in {} for part in batch for n in (len(part), *part)]";
                cases.add(flat.replace("{}", &found), expected);
            }
        }
    }
    cases.check();
}

#[test]
fn parts_of_the_rows() {
    let mut cases = Cases::default();
    for len in [1_usize, 10, 999, 5000] {
        let labels = || (0..len).map(|row| row * row % 11);
        let rows = format!("np.arange({len})");
        for seed in [0, 42, u64::MAX] {
            for shares in [&[0.9, 0.1][..], &[0.5, 0.25, 0.25], &[1.0]] {
                let given = format!("{shares:?}, {seed}");
                cases.parts(
                    format!("bn.split({len}, {given})"),
                    &Partition::split(len, shares, seed).unwrap(),
                );
                cases.parts(
                    format!("bn.stratified_split({rows} ** 2 % 11, {given})"),
                    &Partition::stratified_split(labels(), shares, seed).unwrap(),
                );
                cases.parts(
                    format!("bn.grouped_split({rows} ** 2 % 11, {given})"),
                    &Partition::grouped_split(labels(), shares, seed).unwrap(),
                );
            }
            if len > 3 {
                cases.parts(
                    format!("bn.k_fold({len}, 3, {seed})"),
                    &Partition::k_fold(len, 3, seed).unwrap(),
                );
                cases.parts(
                    format!("bn.stratified_k_fold({rows} ** 2 % 11, 3, {seed})"),
                    &Partition::stratified_k_fold(labels(), 3, seed).unwrap(),
                );
                cases.parts(
                    format!("bn.grouped_k_fold({rows} ** 2 % 11, 3, {seed})"),
                    &Partition::grouped_k_fold(labels(), 3, seed).unwrap(),
                );
            }
        }
    }
    cases.check();
}

#[test]
fn random_numbers_of_a_draw_and_of_transforms() {
    let mut cases = Cases::default();
    for (seed, epoch) in DRAWS {
        for position in [0, 4711, u64::MAX] {
            let rng = format!("bn.PositionRng({seed}, {epoch}, {position})");
            let mut ours = PositionRng::new(seed, epoch, position);
            let words: Vec<u64> = (0..11).map(|_| ours.next_u32().into()).collect();
            cases.add(format!("{rng}.words(11)"), words.clone());
            let one_by_one = "[r.u32(), *r.words(2), *r.words(7), r.u32()]";
            cases.add(format!("(lambda r: {one_by_one})({rng})"), words);
            let mut ours = PositionRng::new(seed, epoch, position);
            let wide: Vec<u64> = (0..3).map(|_| ours.next_u64()).collect();
            cases.add(
                format!("(lambda r: [r.u64() for _ in range(3)])({rng})"),
                wide,
            );
        }
    }
    // Outside of an epoch, the position is the row, and seed and epoch are 0.
    let draw = |_: ArrayViewD<'_, u32>, mut out: ArrayViewMutD<'_, u32>, rng: &mut PositionRng| {
        out.fill(rng.next_u32());
        Ok(())
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    append_npy(&path, &Array1::<u32>::zeros(9)).unwrap();
    let mut column = Column::new(Array::open(&path).unwrap()).unwrap();
    for stream in [1, 2] {
        column = column.map(from_fn::<u32, u32>(draw)).unwrap();
        let rows: Vec<usize> = (0..9).collect();
        let words = column.read::<u32>(&rows).unwrap();
        cases.add(
            format!("[bn.PositionRng(0, 0, row, {stream}).u32() for row in range(9)]"),
            words.iter().map(|word| u64::from(*word)),
        );
    }
    cases.check();
}

#[test]
fn archives_are_mapped_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let code = "
bn.savez('x.npz', a=np.arange(5, dtype='u1'), longer_name=np.arange(12.0).reshape(3, 4),
         é=np.asfortranarray(np.arange(6, dtype='i4').reshape(2, 3)), empty=np.zeros((0, 3), 'f4'))
";
    if python(dir.path(), code).is_none() {
        return;
    }
    let path = dir.path().join("x.npz");
    let open = |access| Npz::open_with(&path, OpenOptions::new().access(access)).unwrap();
    let npz = open(Access::Mapped);
    npz.verify_all().unwrap();
    assert_eq!(npz.names(), ["a", "longer_name", "é", "empty"]);
    for name in npz.names() {
        assert_eq!(npz.array(name).unwrap().data_offset() % 64, 0, "{name}");
    }
    let expected = Array1::from_iter((0..12).map(f64::from));
    let array = npz.array("longer_name").unwrap();
    assert!(array.read::<f64>().unwrap().iter().eq(&expected));
    // Without alignment, nothing could be borrowed.
    let array = open(Access::Memory).array("é").unwrap();
    let expected = array![[0, 1, 2], [3, 4, 5]].into_dyn();
    assert_eq!(array.view::<i32>().unwrap(), expected);
    assert_eq!(npz.array("empty").unwrap().shape(), [0, 3]);
}

#[test]
fn both_append_to_the_files_of_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let row = |n: i32| array![[n, n + 1]];
    append_npy(path("ours.npy"), &row(1)).unwrap();
    if python(
        dir.path(),
        "bn.append('theirs.npy', np.array([[1, 2]], 'i4'))",
    )
    .is_none()
    {
        return;
    }
    let code = "
for name in 'ours.npy', 'theirs.npy':
    bn.append(name, np.array([[3, 4]], 'i4'))
    assert np.load(name).tolist() == [[1, 2], [3, 4]]
";
    python(dir.path(), code).unwrap();
    for name in ["ours.npy", "theirs.npy"] {
        append_npy(path(name), &row(5)).unwrap();
    }
    // Enough rows that the number gets longer.
    let code = "
for name in 'ours.npy', 'theirs.npy':
    bn.append(name, np.arange(7, 20001, dtype='>i4').reshape(-1, 2))
";
    python(dir.path(), code).unwrap();
    for name in ["ours.npy", "theirs.npy"] {
        append_npy(path(name), &row(20001)).unwrap();
        let array = Array::open(path(name)).unwrap();
        array.verify().unwrap();
        assert_eq!(array.shape(), [10_001, 2]);
        assert!(array.read::<i32>().unwrap().iter().copied().eq(1..20003));
    }
    let code = "
for name in 'ours.npy', 'theirs.npy':
    assert (np.load(name) == np.arange(1, 20003).reshape(-1, 2)).all()
";
    python(dir.path(), code).unwrap();
}
