//! Readers of a source whose requests are counted, held back, and fail.
#![allow(clippy::single_range_in_vec_init, reason = "one range is meant")]

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

use proptest::prelude::*;

use super::super::RemoteOptions;
use super::super::conformance::check_read_at;
use super::super::reader::Reader;
use super::*;
use crate::storage::Storage;
use crate::storage::tests::Near;
use crate::{Array, Column, OpenOptions};

/// Sizes at which a few bytes do what megabytes do otherwise.
const TINY: Sizes = Sizes {
    in_flight: 4,
    memory_bytes: 1000,
    near: 4,
    block: 16,
    most: 50,
};

/// Bytes in memory that are far away.
#[derive(Debug)]
struct Far {
    bytes: Vec<u8>,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<Range<u64>>,
    running: usize,
    most_running: usize,
    /// Whether requests wait until it is opened, but for some.
    closed: bool,
    let_through: usize,
    /// A request for the byte fails as many times.
    failures: Option<(u64, usize)>,
    panics: bool,
}

impl Far {
    fn new(len: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: (0..len).map(|i| (i * 7 % 251) as u8).collect(),
            seen: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn reader(self: &Arc<Self>, sizes: Sizes) -> (Arc<Pool>, Reader) {
        let pool = Pool::new(sizes);
        let reader = Reader::with(self.clone(), pool.clone(), None);
        (pool, reader)
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }

    fn close(&self) {
        self.change(|seen| seen.closed = true);
    }

    fn open(&self) {
        self.change(|seen| seen.closed = false);
    }

    /// Waits until so many requests run.
    fn wait_running(&self, running: usize) {
        let seen = self.seen.lock().unwrap();
        let wait = self
            .changed
            .wait_while(seen, |seen| seen.running != running);
        drop(wait.unwrap());
    }

    fn requests(&self) -> Vec<Range<u64>> {
        self.seen.lock().unwrap().requests.clone()
    }

    fn sorted_requests(&self) -> Vec<Range<u64>> {
        let mut requests = self.requests();
        requests.sort_by_key(|range| range.start);
        requests
    }
}

impl ReadAt for Far {
    fn name(&self) -> &str {
        "far"
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let range = offset..offset + out.len() as u64;
        let mut seen = self.seen.lock().unwrap();
        seen.requests.push(range.clone());
        seen.running += 1;
        seen.most_running = seen.most_running.max(seen.running);
        self.changed.notify_all();
        let waits = |seen: &mut Seen| seen.closed && seen.let_through == 0;
        seen = self.changed.wait_while(seen, waits).unwrap();
        seen.let_through = seen.let_through.saturating_sub(1);
        seen.running -= 1;
        self.changed.notify_all();
        if let Some((at, times)) = &mut seen.failures
            && range.contains(at)
            && *times > 0
        {
            *times -= 1;
            if seen.panics {
                drop(seen);
                panic!("no such bytes");
            }
            return Err(Error::new(ErrorKind::Io, "no such bytes"));
        }
        drop(seen);
        out.copy_from_slice(&self.bytes[offset as usize..][..out.len()]);
        Ok(())
    }
}

/// Runs a test that would hang if nobody woke a thread.
fn ends(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = channel();
    let thread = thread::spawn(move || {
        test();
        let _ = ended.send(());
    });
    match end.recv_timeout(Duration::from_secs(120)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap(),
    }
}

fn read(reader: &Reader, range: Range<u64>) -> Result<Vec<u8>> {
    let mut out = vec![0xa5; (range.end - range.start) as usize];
    reader.read_at(range.start, &mut out)?;
    Ok(out)
}

#[track_caller]
fn expect(far: &Far, reader: &Reader, range: Range<u64>) {
    let expected = &far.bytes[range.start as usize..range.end as usize];
    assert!(
        read(reader, range.clone()).unwrap() == expected,
        "{range:?}"
    );
}

/// Waits until no thread is left.
fn wait_idle(pool: &Pool) {
    while pool.lock().threads > 0 {
        thread::yield_now();
    }
}

/// Waits until so many readers wait.
fn wait_for_readers(pool: &Pool, count: usize) {
    let waiting = || (pool.lock().entries.values()).fold(0, |sum, entry| sum + entry.readers);
    while waiting() < count {
        thread::yield_now();
    }
}

/// What the state says of itself, in several places.
fn check(pool: &Pool) {
    let state = pool.lock();
    let mut held = 0;
    let mut previous = (0, 0);
    for (&(file, start), entry) in &state.entries {
        assert!(start < entry.end && (previous.0 < file || previous.1 <= start));
        previous = (file, entry.end);
        held += entry.end - start;
        let is_queued = matches!(entry.stage, Stage::Queued);
        let at = (!entry.is_urgent, entry.number);
        assert_eq!(state.queue.contains_key(&at), is_queued);
        let is_spare = entry.readers == 0 && !is_queued && !matches!(entry.stage, Stage::Running);
        let at = (entry.unread > 0, entry.number);
        assert_eq!(state.spare.contains_key(&at), is_spare);
    }
    assert_eq!(state.held, held);
    assert!(state.queue.len() + state.spare.len() <= state.entries.len());
    assert!(state.busy <= state.threads);
}

#[test]
fn ranges_are_merged_split_and_fetched_once() {
    ends(|| {
        let far = Far::new(1000);
        let (pool, reader) = far.reader(TINY);
        far.close();
        reader.will_need(&[300..310, 0..10, 12..20, 305..420, 800..810, 990..1400, 7..7]);
        far.wait_running(4);
        // Known already, but for a part.
        reader.will_need(&[5..15, 418..430]);
        // Near what still has to wait.
        reader.will_need(&[814..820, 840..841]);
        reader.will_need(&[821..851]);
        check(&pool);
        far.open();
        for range in [0..10, 12..20, 300..430, 990..1000, 5..15] {
            expect(&far, &reader, range);
        }
        for range in [800..810, 814..820, 840..851, 821..830] {
            expect(&far, &reader, range);
        }
        let requests = [
            0..20,
            300..350,
            350..400,
            400..420,
            420..430,
            800..840,
            840..851,
            990..1000,
        ];
        assert_eq!(far.sorted_requests(), requests);
        wait_idle(&pool);
        check(&pool);
    });
}

#[test]
fn what_nobody_announced_comes_with_its_neighbours() {
    ends(|| {
        let far = Far::new(1000);
        let (_, reader) = far.reader(TINY);
        reader.will_need(&[36..40]);
        for range in [17..18, 19..22, 30..33, 34..39, 995..1000, 999..1000] {
            expect(&far, &reader, range);
        }
        // To the next block, but not what is known already, nor what is beyond the end.
        let requests = [16..32, 32..36, 36..40, 992..1000];
        assert_eq!(far.sorted_requests(), requests);
        // A longer read is exact.
        expect(&far, &reader, 501..601);
        assert_eq!(far.requests()[4..].len(), 2);
    });
}

#[test]
fn as_many_requests_run_as_may() {
    ends(|| {
        let far = Far::new(10_000);
        far.close();
        let (pool, reader) = far.reader(TINY);
        let rows: Vec<_> = (0..20).map(|row| row * 400..row * 400 + 10).collect();
        reader.will_need(&rows);
        far.wait_running(4);
        assert_eq!(far.requests().len(), 4);
        check(&pool);
        far.open();
        for row in rows {
            expect(&far, &reader, row);
        }
        assert_eq!(far.requests().len(), 20);
        assert_eq!(far.seen.lock().unwrap().most_running, 4);
        // No thread stays for long.
        wait_idle(&pool);
        // One large range is fetched by as many requests, too.
        far.close();
        thread::scope(|scope| {
            scope.spawn(|| expect(&far, &reader, 9000..9700));
            far.wait_running(4);
            far.open();
        });
        check(&pool);
    });
}

#[test]
fn what_is_waited_for_goes_first() {
    ends(|| {
        let far = Far::new(10_000);
        far.close();
        let sizes = Sizes {
            in_flight: 1,
            ..TINY
        };
        let (pool, reader) = far.reader(sizes);
        let row = |row: u64| row * 400..row * 400 + 20;
        reader.will_need(&[row(0), row(1), row(2), row(3)]);
        far.wait_running(1);
        thread::scope(|scope| {
            // One is planned, and one is not.
            scope.spawn(|| expect(&far, &reader, row(3)));
            scope.spawn(|| expect(&far, &reader, row(4)));
            while pool.lock().queue.keys().filter(|key| !key.0).count() < 2 {
                thread::yield_now();
            }
            // As is what will be read at once.
            reader.need(&[row(5), row(2)]);
            far.open();
        });
        for row in (0..6).map(row) {
            expect(&far, &reader, row);
        }
        let requests = far.requests();
        let of = |at: u64| {
            requests
                .iter()
                .position(|range| range.contains(&(at * 400)))
        };
        assert_eq!(of(0), Some(0));
        assert_eq!(requests.last(), Some(&row(1)));
        assert_eq!(requests.len(), 6);
    });
}

#[test]
fn a_plan_that_is_given_up_goes_last() {
    ends(|| {
        let far = Far::new(10_000);
        far.close();
        let sizes = Sizes {
            in_flight: 1,
            ..TINY
        };
        let (pool, reader) = far.reader(sizes);
        let row = |row: u64| row * 400..row * 400 + 20;
        reader.will_need(&[row(0), row(1), row(2)]);
        far.wait_running(1);
        reader.will_need(&[row(10), row(11), row(12)]);
        thread::scope(|scope| {
            scope.spawn(|| expect(&far, &reader, row(10)));
            while pool.lock().entries.values().all(|entry| entry.readers == 0) {
                thread::yield_now();
            }
            far.open();
        });
        wait_idle(&pool);
        assert_eq!(far.requests(), [0, 10, 11, 12, 1, 2].map(row));
    });
}

#[test]
fn what_is_planned_stays_within_the_memory() {
    ends(|| {
        let far = Far::new(100_000);
        let (pool, reader) = far.reader(TINY);
        let rows: Vec<_> = (0..100).map(|row| row * 100..row * 100 + 40).collect();
        assert!(reader.will_need(&rows[..25]));
        assert!(!reader.will_need(&rows));
        assert_eq!(pool.lock().entries.len(), 25);
        wait_idle(&pool);
        reader.will_need(&rows);
        assert_eq!((pool.lock().held, far.requests().len()), (1000, 25));
        // What was read makes room for what comes next.
        for row in &rows[..10] {
            expect(&far, &reader, row.clone());
        }
        reader.will_need(&rows[20..]);
        wait_idle(&pool);
        assert_eq!((pool.lock().held, far.requests().len()), (1000, 35));
        for row in &rows[10..] {
            expect(&far, &reader, row.clone());
            assert!(pool.lock().held <= 1000);
        }
        // Each was fetched once, those that did not fit when they were read.
        assert_eq!(far.requests().len(), 100);
        check(&pool);
        // A plan that is given up makes room for the next.
        reader.will_need(&[50_000..50_990]);
        wait_idle(&pool);
        let next: Vec<_> = (600..610).map(|row| row * 100..row * 100 + 40).collect();
        reader.need(&next[..1]);
        expect(&far, &reader, next[0].clone());
        for row in &next {
            // As a loader does, again and again.
            reader.will_need(&next);
            wait_idle(&pool);
            expect(&far, &reader, row.clone());
        }
        let long: Vec<_> = (700..730).map(|row| row * 100..row * 100 + 40).collect();
        for row in &long {
            reader.will_need(&long);
            wait_idle(&pool);
            expect(&far, &reader, row.clone());
        }
        // By now there is no trace of the first.
        assert!(
            pool.lock()
                .entries
                .keys()
                .all(|(_, at)| *at < 50_000 || *at >= 60_000)
        );
        // A range that is larger than the memory comes in parts.
        expect(&far, &reader, 70_000..80_000);
        assert!(pool.lock().held <= 1000);
        check(&pool);
    });
}

#[test]
fn a_plan_that_does_not_fit_is_fetched_once() {
    ends(|| {
        let far = Far::new(100_000);
        let (pool, reader) = far.reader(TINY);
        let rows: Vec<_> = (0..100).map(|row| row * 100..row * 100 + 40).collect();
        for (index, row) in rows.iter().enumerate() {
            reader.will_need(&rows[index..]);
            wait_idle(&pool);
            if index % 30 == 10 {
                // Another reader needs something that is in no plan, and the next but one row.
                let other = 50_000 + 100 * index as u64;
                reader.need(&[other..other + 40]);
                expect(&far, &reader, other..other + 40);
                let later = rows[index + 2].clone();
                expect(&far, &reader, later);
                reader.will_need(&rows[index..]);
                wait_idle(&pool);
            }
            expect(&far, &reader, row.clone());
            check(&pool);
        }
        // All rows, and the three others, each in place of the last row that was planned then. The
        // rows that came too early had been read when it was their turn.
        let requests = far.requests().len();
        assert!((103..=109).contains(&requests), "{requests}");
    });
}

#[test]
fn errors_are_given_once_and_panics_are_errors() {
    ends(|| {
        for panics in [false, true] {
            for announced in [false, true] {
                let far = Far::new(1000);
                let (pool, reader) = far.reader(TINY);
                far.change(|seen| (seen.failures, seen.panics) = (Some((105, 1)), panics));
                far.close();
                if announced {
                    reader.will_need(&[100..110, 112..120, 200..210]);
                }
                let error = thread::scope(|scope| {
                    let thread = scope.spawn(|| read(&reader, 100..110));
                    wait_for_readers(&pool, 1);
                    far.open();
                    thread.join().unwrap().unwrap_err()
                });
                let kind = [ErrorKind::Io, ErrorKind::Panic][usize::from(panics)];
                assert_eq!(error.kind(), kind);
                assert_eq!(error.file(), Some(std::path::Path::new("far")));
                assert!(error.to_string().contains("no such bytes"), "{error}");
                for range in [100..110, 112..120, 200..210] {
                    expect(&far, &reader, range);
                }
                wait_idle(&pool);
                check(&pool);
            }
        }
    });
}

#[test]
fn all_who_wait_for_a_request_get_its_error() {
    ends(|| {
        let far = Far::new(1000);
        far.close();
        far.change(|seen| seen.failures = Some((100, 1)));
        let (pool, reader) = far.reader(TINY);
        reader.will_need(&[100..120]);
        far.wait_running(1);
        thread::scope(|scope| {
            let threads = [100..110, 110..120].map(|range| scope.spawn(|| read(&reader, range)));
            wait_for_readers(&pool, 2);
            far.open();
            for thread in threads {
                assert_eq!(thread.join().unwrap().unwrap_err().kind(), ErrorKind::Io);
            }
        });
        expect(&far, &reader, 100..120);
        check(&pool);
    });
}

/// As after a server was away for a while: who tries again meets no errors of that time.
#[test]
fn what_failed_before_it_was_read_is_requested_again() {
    ends(|| {
        let far = Far::new(10_000);
        let (pool, reader) = far.reader(TINY);
        let rows: Vec<_> = (0..20).map(|row| row * 400..row * 400 + 10).collect();
        far.change(|seen| seen.failures = Some((400, 1)));
        reader.will_need(&rows);
        wait_idle(&pool);
        check(&pool);
        let old = |entry: &Entry| match entry.stage {
            Stage::Failed(_, until) => until <= Instant::now(),
            _ => true,
        };
        while !pool.lock().entries.values().all(old) {
            thread::yield_now();
        }
        for row in &rows {
            expect(&far, &reader, row.clone());
        }
        // With what nobody announced, the block around it.
        assert_eq!(far.requests().last(), Some(&(400..416)));
        assert_eq!(far.requests().len(), 21);
        check(&pool);
    });
}

#[test]
fn options_do_not_show_what_is_in_memory() {
    let far = Far::new(10_000);
    let (pool, reader) = far.reader(TINY);
    expect(&far, &reader, 0..900);
    let options = RemoteOptions {
        pool: Some(pool),
        ..RemoteOptions::new()
    };
    let shown = format!("{options:?}");
    assert!(shown.contains("memory_bytes: 1000"), "{shown}");
    assert!(shown.len() < 300, "{shown}");
}

#[test]
fn a_file_that_is_gone_is_not_fetched() {
    ends(|| {
        let far = Far::new(10_000);
        far.close();
        let (pool, reader) = far.reader(TINY);
        let other = Reader::with(far.clone(), pool.clone(), None);
        let rows: Vec<_> = (0..20).map(|row| row * 400..row * 400 + 10).collect();
        reader.will_need(&rows);
        other.will_need(&[9000..9010]);
        far.wait_running(4);
        drop(reader);
        assert_eq!(pool.lock().queue.len(), 1);
        far.open();
        wait_idle(&pool);
        assert_eq!(far.requests().len(), 5);
        assert_eq!(pool.lock().held, 10);
        expect(&far, &other, 9000..9010);
        check(&pool);
        drop((pool, other));
        // Nothing holds on to the source.
        assert_eq!(Arc::strong_count(&far), 1);
    });
}

#[test]
fn reads_in_order_are_fetched_ahead() {
    ends(|| {
        let far = Far::new(10_000);
        let sizes = Sizes {
            in_flight: 8,
            memory_bytes: 4000,
            most: 100,
            ..TINY
        };
        let (pool, reader) = far.reader(sizes);
        far.close();
        thread::scope(|scope| {
            scope.spawn(|| {
                for start in (0..10_000).step_by(20) {
                    expect(&far, &reader, start..start + 20);
                }
            });
            // The first is alone, then come more and more, although the reader waits for the first.
            let mut most = 0;
            while most < 5 {
                let waits =
                    |entry: &Entry| entry.readers > 0 && !matches!(entry.stage, Stage::Ready(_));
                let state = pool.lock();
                let is_still = state.entries.values().any(waits) && state.threads == state.busy;
                let busy = state.busy;
                drop(state);
                far.change(|seen| {
                    if is_still && seen.running == busy && seen.let_through == 0 {
                        most = most.max(busy);
                        seen.let_through = 1;
                    }
                });
                thread::yield_now();
            }
            far.open();
        });
        // Each byte once, in far fewer requests than reads.
        let requests = far.sorted_requests();
        assert_eq!(
            requests.iter().map(|of| of.end - of.start).sum::<u64>(),
            10_000
        );
        assert!(requests.len() < 150, "{}", requests.len());
        check(&pool);
    });
}

#[test]
fn without_threads_the_readers_fetch() {
    ends(|| {
        let far = Far::new(1000);
        let sizes = Sizes {
            in_flight: 0,
            ..TINY
        };
        let (pool, reader) = far.reader(sizes);
        reader.will_need(&[0..10, 500..600]);
        assert!(far.requests().is_empty());
        thread::scope(|scope| {
            for thread in 0..8 {
                let (far, reader) = (&far, &reader);
                scope.spawn(move || {
                    for step in 0..20 {
                        let start = (step * 97 + thread * 31) % 900;
                        expect(far, reader, start..start + 77);
                    }
                });
            }
        });
        check(&pool);
    });
}

fn options(sizes: Sizes) -> OpenOptions {
    let remote = RemoteOptions {
        pool: Some(Pool::new(sizes)),
        ..RemoteOptions::new()
    };
    OpenOptions::new().remote(remote)
}

#[test]
fn it_reads_what_is_there_with_any_sizes() {
    for in_flight in [1, 3] {
        for memory_bytes in [0, 1, 100, 1 << 20] {
            for (near, block, most) in [(0, 1, 1 << 10), (10, 64, 100), (1 << 20, 1 << 20, 1 << 20)]
            {
                ends(move || {
                    let far = Far::new(4000);
                    let sizes = Sizes {
                        in_flight,
                        memory_bytes,
                        near,
                        block,
                        most,
                    };
                    let storage = Storage::remote(far.clone(), &options(sizes)).unwrap();
                    check_read_at(&Near(storage), &far.bytes);
                    let seen = far.seen.lock().unwrap();
                    assert!(seen.most_running <= in_flight);
                });
            }
        }
    }
}

/// What a cache on a disk does.
#[derive(Debug, Default)]
struct InMemory {
    chunks: Mutex<BTreeMap<u64, Vec<u8>>>,
    most: usize,
}

impl Chunks for InMemory {
    fn chunk_bytes(&self) -> u64 {
        64
    }

    fn has(&self, chunk: u64) -> bool {
        self.chunks.lock().unwrap().contains_key(&chunk)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> bool {
        let chunks = self.chunks.lock().unwrap();
        for (at, to) in (offset..).zip(out) {
            let Some(chunk) = chunks.get(&(at / 64)) else {
                return false;
            };
            *to = chunk[(at % 64) as usize];
        }
        true
    }

    fn write(&self, chunk: u64, bytes: &[u8]) -> bool {
        let mut chunks = self.chunks.lock().unwrap();
        let has_room = chunks.len() < self.most;
        if has_room {
            chunks.insert(chunk, bytes.to_vec());
        }
        has_room
    }

    fn settle(&self) {}

    fn is_whole(&self) -> bool {
        false
    }

    fn whole(&self) -> Option<(fs::File, PathBuf)> {
        None
    }
}

#[test]
fn whole_chunks_are_fetched_for_a_cache() {
    ends(|| {
        for (most, memory_bytes) in [(0, 1000), (5, 1000), (1000, 1000), (1000, 0), (7, 0)] {
            let far = Far::new(1000);
            let chunks = Arc::new(InMemory {
                most,
                ..InMemory::default()
            });
            let pool = Pool::new(Sizes {
                memory_bytes,
                ..TINY
            });
            let reader = Reader::with(far.clone(), pool.clone(), Some(chunks.clone()));
            reader.will_need(&[10..20, 100..200, 990..1000]);
            for range in [10..20, 100..200, 990..1000, 0..1000, 63..65, 500..777] {
                expect(&far, &reader, range);
            }
            let whole = |range: &Range<u64>| {
                range.start.is_multiple_of(64)
                    && (range.end.is_multiple_of(64) || range.end == 1000)
            };
            assert!(far.requests().iter().all(whole), "{:?}", far.requests());
            assert_eq!(chunks.chunks.lock().unwrap().len(), most.min(16));
            // What is in the cache is not fetched again.
            if most == 1000 {
                let requests = far.requests();
                assert_eq!(
                    requests.iter().map(|of| of.end - of.start).sum::<u64>(),
                    1000
                );
                let again = Reader::with(far.clone(), pool.clone(), Some(chunks));
                again.will_need(&[0..1000]);
                expect(&far, &again, 0..1000);
                assert_eq!(far.requests().len(), requests.len());
            }
            wait_idle(&pool);
            check(&pool);
        }
    });
}

#[derive(Clone, Debug)]
enum Step {
    WillNeed(Vec<Range<u64>>),
    Need(Vec<Range<u64>>),
    Read(Range<u64>),
    Fail(u64),
}

fn step(len: u64) -> impl Strategy<Value = Step> {
    let range = move || (0..=len, 0..=len / 8).prop_map(move |(at, by)| at..len.min(at + by));
    let ranges = move || prop::collection::vec(range(), 0..12);
    prop_oneof![
        3 => ranges().prop_map(Step::WillNeed),
        2 => ranges().prop_map(Step::Need),
        8 => range().prop_map(Step::Read),
        1 => (0..len).prop_map(Step::Fail),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever threads announce and read, they get the bytes, or an error where a request failed.
    #[test]
    fn threads_read_the_bytes(
        threads in prop::collection::vec(prop::collection::vec(step(600), 0..30), 1..4),
        in_flight in 0_usize..4,
        memory_bytes in prop_oneof![Just(0_u64), 1_u64..700, Just(1 << 20)],
        (near, block, most) in (0_u64..20, 1_u64..80, 1_u64..200),
        cached in prop_oneof![Just(None), (0_usize..12).prop_map(Some)],
    ) {
        ends(move || {
            let far = Far::new(600);
            let pool = Pool::new(Sizes { in_flight, memory_bytes, near, block, most });
            let chunks = cached.map(|most| Arc::new(InMemory { most, ..InMemory::default() }) as _);
            let reader = Reader::with(far.clone(), pool.clone(), chunks);
            thread::scope(|scope| {
                let (far, pool, reader) = (&far, &pool, &reader);
                for steps in &threads {
                    scope.spawn(move || {
                        for step in steps {
                            match step {
                                Step::WillNeed(ranges) => drop(reader.will_need(ranges)),
                                Step::Need(ranges) => reader.need(ranges),
                                Step::Fail(at) => far.change(|seen| seen.failures = Some((*at, 1))),
                                Step::Read(range) => match read(reader, range.clone()) {
                                    Err(error) => assert_eq!(error.kind(), ErrorKind::Io),
                                    Ok(bytes) => {
                                        let of = range.start as usize..range.end as usize;
                                        assert_eq!(bytes, far.bytes[of]);
                                    }
                                },
                            }
                            check(pool);
                        }
                    });
                }
            });
            far.change(|seen| seen.failures = None);
            // What failed while nobody needed it is an error once.
            while read(&reader, 0..600).is_err() {}
            expect(&far, &reader, 0..600);
            assert!(pool.lock().held <= memory_bytes.max(600));
            drop(reader);
            wait_idle(&pool);
            check(&pool);
            assert!(pool.lock().entries.is_empty());
            assert!(far.seen.lock().unwrap().most_running <= in_flight.max(1));
        });
    }
}

/// A file of `rows` rows of `row_bytes` bytes, far away.
fn rows_far_away(rows: usize, row_bytes: usize) -> (Arc<Far>, usize) {
    let head = crate::format::header::encode("'|u1'", crate::Layout::C, &[rows, row_bytes]);
    let data = Far::new(rows * row_bytes);
    let mut bytes = head.to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(&data.bytes);
    let far = Far {
        bytes,
        seen: Mutex::default(),
        changed: Condvar::new(),
    };
    (Arc::new(far), start)
}

#[test]
fn the_rows_of_a_batch_are_requested_together() {
    ends(|| {
        let (far, _) = rows_far_away(1000, 100);
        let sizes = Sizes {
            in_flight: 16,
            memory_bytes: 1 << 20,
            block: 128,
            ..TINY
        };
        let array = Array::from_reader(far.clone(), options(sizes)).unwrap();
        let column = Column::new(array).unwrap();
        assert_eq!(column.readahead_rows(), 16 * 128);
        far.close();
        let rows: Vec<usize> = (0..16).map(|row| row * 60).collect();
        let mut out = vec![0; rows.len() * 100];
        thread::scope(|scope| {
            scope.spawn(|| column.gather(&rows, &mut out).unwrap());
            // No row has come yet.
            far.wait_running(16);
            far.open();
        });
        let expected = rows
            .iter()
            .flat_map(|row| &far.bytes[128 + row * 100..][..100]);
        assert!(out.iter().eq(expected));
    });
}

#[test]
fn scattered_rows_are_planned_piece_by_piece() {
    ends(|| {
        // Of 50 rows of 6 numbers, the numbers of a row are 50 bytes apart.
        let head = crate::format::header::encode("'|u1'", crate::Layout::Fortran, &[50, 6]);
        let mut bytes = head.to_vec();
        bytes.extend(0..=255);
        bytes.extend(0..44);
        let near = Column::new(Array::from_bytes(bytes.clone()).unwrap()).unwrap();
        let far = Arc::new(Far {
            bytes,
            seen: Mutex::default(),
            changed: Condvar::new(),
        });
        let sizes = Sizes {
            memory_bytes: 1 << 20,
            ..TINY
        };
        let pool = Pool::new(sizes);
        let remote = RemoteOptions {
            pool: Some(pool.clone()),
            ..RemoteOptions::new()
        };
        let array = Array::from_reader(far.clone(), OpenOptions::new().remote(remote)).unwrap();
        let column = Column::new(array).unwrap();
        assert_eq!(near.readahead_rows(), 0);
        assert_eq!(column.readahead_rows(), 4 * 128 / 6);
        for rows in [&[5, 6, 7, 30, 0, 30][..], &[49], &[], &[10, 9, 8]] {
            assert!(column.readahead(rows));
            wait_idle(&pool);
            let requests = far.requests().len();
            let [mut expected, mut found] = [vec![0; rows.len() * 6], vec![0; rows.len() * 6]];
            near.gather(rows, &mut expected).unwrap();
            column.gather(rows, &mut found).unwrap();
            assert_eq!(found, expected);
            // All of it had come.
            assert_eq!(far.requests().len(), requests);
        }
    });
}

#[test]
fn rows_of_no_elements_are_not_fetched() {
    ends(|| {
        // The axes before the empty one would be a plan of a million million pieces.
        let shape = [3, 1_000_000, 1_000_000, 0];
        for layout in [crate::Layout::C, crate::Layout::Fortran] {
            let head = crate::format::header::encode("'|u1'", layout, &shape);
            let far = Arc::new(Far {
                bytes: head.to_vec(),
                seen: Mutex::default(),
                changed: Condvar::new(),
            });
            let array = Array::from_reader(far.clone(), options(TINY)).unwrap();
            let column = Column::new(array).unwrap();
            let requests = far.requests().len();
            assert!(column.readahead(&[0, 1, 2]));
            column.gather(&[2, 0], &mut []).unwrap();
            assert_eq!(far.requests().len(), requests);
        }
    });
}
