//! Maps of rows against vectors.

use proptest::prelude::*;
use rand_core::Rng;

use super::*;
use crate::order::PositionRng;

fn rows(map: &RowMap) -> Vec<usize> {
    (0..map.len()).map(|row| map.map(row)).collect()
}

#[test]
fn runs_are_their_naive_twins() {
    let mut rng = PositionRng::new(5, 0, 0);
    let mut below = |bound: u64| (rng.next_u64() % bound) as usize;
    for case in 0..1000 {
        // A stride of 0 repeats a row.
        let (stride, mut end, mut all) = (below(5), 0, 0);
        let (mut runs, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..below(5) {
            let (start, count) = (end + below(4), below(6));
            // Every second time, the runs are in any order.
            let start = if case % 2 == 0 { start } else { below(30) };
            runs.push((start, count));
            expected.extend((0..count).map(|index| start + index * stride));
            end = start + count * stride;
            all = all.max(end + 1);
        }
        let mut map = RowMap::new(all);
        map.runs(stride, runs);
        assert_eq!(rows(&map), expected);
        // The distance in rows beyond which rows of an array are not shared.
        for overlap in 0..9 {
            let apart = |(a, b): (usize, usize)| expected[b].abs_diff(expected[a]);
            // Without overlap, only the same row twice shares something, as in `repeat`.
            let shares = |pair| overlap > 0 && apart(pair) <= overlap;
            let found = map.overlap(overlap);
            for a in 0..expected.len() {
                for b in a + 1..expected.len() {
                    assert!(b - a <= found || !shares((a, b)), "{expected:?}, {overlap}");
                }
            }
        }
        assert_eq!(map.overlap(usize::MAX), usize::MAX);
    }
}

#[test]
fn runs_are_as_random_as_a_list_of_their_starts() {
    let map = RowMap::new(1000);
    let starts = |order: &RowMap| (0..100).map(|run| order.map(run) * 10).collect::<Vec<_>>();
    let mut order = RowMap::new(100);
    let sorted = starts(&order);
    order.shuffle(1);
    for (starts, expected) in [(sorted, false), (starts(&order), true), (Vec::new(), false)] {
        for count in [1, 10] {
            let mut runs = map.clone();
            runs.runs(1, starts.iter().map(|start| (*start, count)));
            assert_eq!(runs.is_random(), expected, "{count}");
        }
        let list = map.list(starts.iter().map(|start| *start as i128)).unwrap();
        assert_eq!(list.is_random(), expected);
    }
}

#[test]
fn the_text_of_a_map_is_short_and_tells_runs_apart() {
    let text = |stride, shift: usize, last: usize| {
        let mut map = RowMap::new(10_000_000);
        let start = |run: usize| run * 20 + if run == 700 { shift } else { 0 };
        let len = |run: usize| if run == 299_999 { last } else { 3 };
        map.runs(stride, (0..300_000).map(|run| (start(run), len(run))));
        format!("{map:?}")
    };
    let texts = [text(1, 0, 3), text(2, 0, 3), text(1, 1, 3), text(1, 0, 4)];
    for (index, known) in texts.iter().enumerate() {
        assert!(known.len() < 200, "{known}");
        assert!(!texts[..index].contains(known), "{known}");
    }
    assert_eq!(text(1, 0, 3), texts[0]);
}

#[test]
fn what_is_not_in_order_may_share_any_rows() {
    let mut map = RowMap::new(100);
    map.skip(3);
    map.runs(3, [(0, 20), (70, 5)]);
    map.take(23);
    assert_eq!((map.overlap(0), map.overlap(7)), (0, 2));
    map.shuffle(1);
    // Beyond a stride of 3, nothing is shared.
    assert_eq!((map.overlap(2), map.overlap(7)), (0, usize::MAX));
}

#[test]
fn a_mix_has_each_part_in_its_order_and_share() {
    let mut rng = PositionRng::new(6, 0, 0);
    let mut below = |bound: u64| (rng.next_u64() % bound) as usize;
    for case in 0..300 {
        let parts: Vec<(usize, f64)> = (0..1 + below(9))
            .map(|_| (1 + below(400), [1.0, 0.5, 3.0, 0.01, 1e300, 7.25][below(6)]))
            .collect();
        let all = parts.iter().map(|part| part.0).sum();
        let mut map = RowMap::new(all);
        map.mix(&parts);
        let starts: Vec<usize> = parts
            .iter()
            .scan(0, |end, part| {
                *end += part.0;
                Some(*end - part.0)
            })
            .collect();
        let most = parts.iter().fold(0.0, |most: f64, part| most.max(part.1));
        let weights: f64 = parts.iter().map(|part| part.1 / most).sum();
        let mut taken = vec![0; parts.len()];
        for (before, row) in rows(&map).into_iter().enumerate() {
            let part = starts.partition_point(|start| *start <= row) - 1;
            // The next row of its part.
            assert_eq!(row, starts[part] + taken[part], "case {case}");
            taken[part] += 1;
            for (part, taken) in parts.iter().zip(&taken) {
                let expected = (before + 1) as f64 * (part.1 / most / weights);
                let off = (*taken as f64 - expected).abs();
                assert!(off < 2.5, "case {case}: {off} rows off of {parts:?}");
            }
        }
        // The next row would be one of a part that has no more.
        let more: Vec<(usize, f64)> = parts.iter().map(|part| (part.0 + 9, part.1)).collect();
        let mut longer = RowMap::new(all + 9 * parts.len());
        longer.mix(&more);
        let next = longer.map(map.len());
        let mut end = 0;
        let part = more.iter().position(|part| {
            end += part.0;
            next < end
        });
        let part = part.unwrap();
        assert_eq!(taken[part], parts[part].0, "case {case}: {parts:?}");
    }
}

#[test]
fn a_mix_is_the_same_everywhere() {
    let mut map = RowMap::new(20);
    map.mix(&[(12, 3.0), (8, 1.0)]);
    assert_eq!(
        rows(&map),
        [0, 1, 12, 2, 3, 4, 13, 5, 6, 7, 14, 8, 9, 10, 15, 11]
    );
}

#[derive(Clone, Debug)]
enum Verb {
    Take(usize),
    Skip(usize),
    Step(usize),
    Repeat(usize),
    Shuffle(u64),
    List(Vec<usize>),
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        (0..40_usize).prop_map(Verb::Take),
        (0..20_usize).prop_map(Verb::Skip),
        (1..5_usize).prop_map(Verb::Step),
        (0..4_usize).prop_map(Verb::Repeat),
        any::<u64>().prop_map(Verb::Shuffle),
        prop::collection::vec(0..1000_usize, 0..40).prop_map(Verb::List),
    ]
}

proptest! {
    #[test]
    fn a_map_does_to_rows_what_the_verbs_do_to_a_vector(
        len in 0..30_usize, verbs in prop::collection::vec(verb(), 0..7),
    ) {
        let mut map = RowMap::new(len);
        let mut twin: Vec<usize> = (0..len).collect();
        for verb in verbs {
            match verb {
                Verb::Take(count) => {
                    map.take(count);
                    twin.truncate(count);
                }
                Verb::Skip(count) => {
                    map.skip(count);
                    twin = twin.into_iter().skip(count).collect();
                }
                Verb::Step(stride) => {
                    map.step(stride).unwrap();
                    twin = twin.into_iter().step_by(stride).collect();
                }
                Verb::Repeat(count) => {
                    map.repeat(count).unwrap();
                    twin = twin.repeat(count);
                }
                Verb::Shuffle(seed) => {
                    map.shuffle(seed);
                    let order = Permutation::new(twin.len() as u64, seed, u64::MAX);
                    let rows = order.rows(0..order.len());
                    twin = rows.map(|row| twin[row as usize]).collect();
                }
                Verb::List(list) => {
                    let list: Vec<usize> =
                        list.into_iter().filter(|row| *row < twin.len()).collect();
                    map = map.list(list.iter().map(|row| *row as i128)).unwrap();
                    twin = list.into_iter().map(|row| twin[row]).collect();
                }
            }
            prop_assert_eq!(rows(&map), &twin[..]);
        }
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn rows_beyond_32_bits_are_listed_too() {
    let len = u32::MAX as usize + 10;
    let map = RowMap::new(len);
    let list = map.list([len as i128 - 1, 0]).unwrap();
    assert_eq!(rows(&list), [len - 1, 0]);
    assert!(matches!(
        list.steps[0],
        RowStep::List {
            rows: RowList::Long(_),
            ..
        }
    ));
}

#[test]
fn rows_that_mostly_ascend_are_read_in_order() {
    let done = |change: &dyn Fn(&mut RowMap)| {
        let mut map = RowMap::new(100);
        change(&mut map);
        map.is_random()
    };
    let listed = |map: &mut RowMap, rows: &[i128]| {
        *map = map.list(rows.iter().copied()).unwrap();
    };
    let ordered: [&dyn Fn(&mut RowMap); 9] = [
        &|_| {},
        &|map| map.skip(3),
        &|map| map.step(7).unwrap(),
        &|map| map.repeat(2).unwrap(),
        &|map| map.runs(2, [(0, 9), (50, 9)]),
        &|map| map.mix(&[(50, 1.0), (50, 3.0)]),
        &|map| listed(map, &[0, 5, 5, 90]),
        &|map| listed(map, &[]),
        &|map| {
            listed(
                map,
                &[50, 51, 52, 53, 54, 55, 56, 57, 0, 1, 2, 3, 4, 5, 6, 7],
            )
        },
    ];
    assert_eq!(ordered.map(done), [false; 9]);
    let random: [&dyn Fn(&mut RowMap); 4] = [
        &|map| map.shuffle(1),
        &|map| {
            map.shuffle(1);
            map.take(50);
            map.repeat(2).unwrap();
        },
        &|map| listed(map, &[9, 3, 7]),
        &|map| {
            listed(map, &Vec::from_iter((0..100).rev()));
            map.skip(10);
        },
    ];
    assert_eq!(random.map(done), [true; 4]);
}

#[test]
fn a_list_of_a_list_is_one_list() {
    let mut map = RowMap::new(1000);
    for _ in 0..100 {
        map.shuffle(1);
        map = map.list((0..map.len() as i128).rev()).unwrap();
    }
    assert_eq!(map.steps.len(), 1);
}

#[test]
fn other_steps_have_other_fingerprints() {
    let done = |change: &dyn Fn(&mut RowMap)| {
        let mut map = RowMap::new(10);
        change(&mut map);
        map.fingerprint()
    };
    let listed = |map: &RowMap, rows: &[i128]| map.list(rows.iter().copied()).unwrap();
    let split = |map: &mut RowMap, seed, first| {
        map.shuffle(seed);
        map.take(first);
    };
    let maps: [&dyn Fn(&mut RowMap); 22] = [
        &|_| {},
        &|map| map.skip(1),
        &|map| map.skip(2),
        &|map| {
            map.skip(1);
            map.take(8);
        },
        &|map| map.step(2).unwrap(),
        &|map| map.step(3).unwrap(),
        &|map| map.repeat(2).unwrap(),
        &|map| map.repeat(3).unwrap(),
        &|map| map.shuffle(1),
        &|map| map.shuffle(2),
        &|map| split(map, 1, 8),
        &|map| split(map, 1, 7),
        &|map| {
            split(map, 1, 8);
            split(map, 1, 4);
        },
        &|map| {
            split(map, 1, 8);
            split(map, 2, 4);
        },
        &|map| {
            split(map, 2, 8);
            split(map, 1, 4);
        },
        &|map| *map = listed(map, &[1, 2, 3]),
        &|map| *map = listed(map, &[1, 3, 2]),
        &|map| map.runs(1, [(0, 2), (5, 2)]),
        &|map| map.runs(2, [(0, 2), (5, 2)]),
        &|map| map.runs(1, [(0, 2), (6, 2)]),
        &|map| map.mix(&[(5, 1.0), (5, 2.0)]),
        &|map| map.mix(&[(5, 2.0), (5, 1.0)]),
    ];
    let prints = maps.map(done);
    for (i, one) in prints.iter().enumerate() {
        assert!(prints[..i].iter().all(|other| other != one), "{i}");
    }
    assert_eq!(prints, maps.map(done));
    // Nothing is chosen by these.
    let none: [&dyn Fn(&mut RowMap); 5] = [
        &|map| map.take(7),
        &|map| map.skip(0),
        &|map| map.step(1).unwrap(),
        &|map| map.repeat(1).unwrap(),
        &|map| map.runs(1, [(0, 3), (3, 4)]),
    ];
    assert_eq!(none.map(done), [None; 5]);
    // The first rows of longer columns are the same ones.
    let skipped = |len| {
        let mut map = RowMap::new(len);
        map.skip(2);
        map.take(5);
        map.fingerprint()
    };
    assert_eq!(skipped(10), skipped(11));
    // Saved states hold them, so they must not change.
    let literal = [1, 4, 6, 8, 12, 15, 17, 20].map(|map| prints[map].unwrap());
    assert_eq!(literal, LITERAL);
}
const LITERAL: [u64; 8] = [
    17_627_381_599_469_414_797,
    9_788_606_267_679_413_128,
    117_331_665_062_972_005,
    15_911_528_655_183_032_531,
    16_885_729_163_208_687_001,
    3_833_193_076_166_511_227,
    13_760_251_668_640_402_711,
    12_410_651_495_690_698_292,
];

#[test]
fn lists_have_fingerprints() {
    let map = RowMap::new(10);
    let print = |rows: &[i128]| map.list(rows.iter().copied()).unwrap().fingerprint();
    assert_eq!(map.fingerprint(), None);
    assert_eq!(print(&[1, 2]), print(&[1, 2]));
    let prints = [
        print(&[]),
        print(&[0]),
        print(&[0, 0]),
        print(&[1, 2]),
        print(&[2, 1]),
    ];
    for (i, one) in prints.iter().enumerate() {
        assert!(prints[..i].iter().all(|other| other != one));
    }
}

#[test]
fn misuse_is_an_error() {
    let mut map = RowMap::new(10);
    let kind = |result: Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(map.step(0)), ErrorKind::Usage);
    assert_eq!(kind(map.repeat(usize::MAX)), ErrorKind::Overflow);
    assert_eq!(kind(map.repeat(usize::MAX / 10)), ErrorKind::Overflow);
    for (list, message) in [
        (
            [3, 10],
            "entry 1 of the list is row 10, but there are 10 rows",
        ),
        (
            [-1, 10],
            "entry 0 of the list is row -1, but there are 10 rows",
        ),
    ] {
        let error = map.list(list).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Row, message));
    }
    assert_eq!(rows(&map).len(), 10);
    // It says how long it is, which is more than memory holds.
    let error = map.list(10..i128::from(u64::MAX)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Row);
    let error = map
        .list((0..usize::MAX).map(|row| row as i128))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Row);
}
