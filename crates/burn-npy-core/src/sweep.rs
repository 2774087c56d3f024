//! A file that fits into memory, read in order while its rows are asked for out of order.
//!
//! Small rows that are read one by one are bound by how many reads a disk makes in a second, not by its bytes. Of a file
//! of which memory has room for everything, what is read early is not lost, so the file is read in order as well, in
//! large pieces. Nobody knows whether the epoch will go on, so this begins slowly: the more rows have been read
//! one by one, the more is it worth to have the others. A tenth of an epoch pays next to nothing, a whole one gains.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The length of a read in order, in bytes: long enough for a disk to be at its full speed.
const PIECE: u64 = 256 << 10;

/// How far a file has been read in order; nothing at first.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// How many bytes have been asked for row by row, counted again if they were asked for again.
    asked: AtomicU64,
    fits: OnceLock<bool>,
}

impl Sweep {
    /// The first byte, of `len`, that has not been read in order.
    pub(crate) fn reached(&self, len: u64) -> u64 {
        match self.fits.get() {
            Some(true) => reached(self.asked.load(Relaxed), len),
            _ => 0,
        }
    }

    /// The bytes, of `len`, to read in order now that `bytes` more are asked for row by row. Each is given once, in
    /// whichever thread; none if the file does not fit into memory.
    pub(crate) fn advance(&self, bytes: u64, len: u64) -> Range<u64> {
        // Half of what there is: others want some as well.
        let fits = self.fits.get_or_init(|| len <= memory_for_files() / 2);
        if !fits || self.reached(len) == len {
            return len..len;
        }
        let before = self.asked.fetch_add(bytes, Relaxed);
        reached(before, len)..reached(before.saturating_add(bytes), len)
    }

    /// Whether there is memory for the file, whatever there is.
    #[cfg(test)]
    pub(crate) fn with_memory(fits: bool) -> Self {
        Self {
            asked: AtomicU64::new(0),
            fits: OnceLock::from(fits),
        }
    }
}

/// All of the file once three quarters of it were asked for, in steps that grow with the third power: a sixth of it has
/// paid for less than a hundredth.
fn reached(asked: u64, len: u64) -> u64 {
    let part = asked as f64 / (0.75 * len as f64);
    if part >= 1.0 || len == 0 {
        return len;
    }
    let reached = (len as f64 * part.powi(4)) as u64;
    reached.min(len) / PIECE * PIECE
}

/// How many bytes of files the system could hold for this process, its limits as a member of groups included; 0 where nobody knows.
fn memory_for_files() -> u64 {
    #[cfg(target_os = "linux")]
    {
        use sysinfo::{
            MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid,
        };
        let (Ok(mut system), Ok(pid)) = (System::new(), get_current_pid()) else {
            return 0;
        };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let kind = ProcessRefreshKind::nothing().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
        let limits = system.process(pid).and_then(|own| own.cgroup_limits());
        let limit = limits.map_or(u64::MAX, |it| it.total_memory.saturating_sub(it.rss));
        system.available_memory().min(limit)
    }
    #[cfg(not(target_os = "linux"))]
    0
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn each_byte_is_read_once_by_the_time_as_many_were_asked_for() {
        for len in [0, 1, PIECE, 300 << 20, (512 << 20) + 12_345] {
            let sweep = Sweep::with_memory(true);
            let (mut end, mut asked) = (0, 0);
            while asked < len {
                assert_eq!(sweep.reached(len), end);
                let range = sweep.advance(8192 * 64, len);
                assert_eq!(range.start, end);
                assert!(range.end == len || range.end.is_multiple_of(PIECE));
                end = range.end;
                asked += 8192 * 64;
            }
            assert_eq!((end, sweep.reached(len)), (len, len));
            assert!(sweep.advance(1, len).is_empty());
        }
    }

    #[test]
    fn the_begin_of_an_epoch_pays_little() {
        let len = 3 << 30;
        assert_eq!(reached(0, len), 0);
        assert!(reached(len / 6, len) <= len / 400);
        assert!(reached(len / 3, len) <= len / 25);
        assert!(reached(len / 4 * 3, len) == len);
        assert_eq!(reached(u64::MAX, len), len);
        assert_eq!(reached(u64::MAX / 2, u64::MAX) % PIECE, 0);
    }

    #[test]
    fn threads_share_the_file() {
        let (sweep, len) = (Sweep::with_memory(true), 300 << 20);
        let mut pieces: Vec<Range<u64>> = thread::scope(|scope| {
            let all = [(); 4].map(|()| {
                scope.spawn(|| {
                    let mut own = Vec::new();
                    while sweep.reached(len) < len {
                        own.push(sweep.advance(100_000, len));
                    }
                    own
                })
            });
            all.into_iter()
                .flat_map(|all| all.join().unwrap())
                .collect()
        });
        pieces.retain(|piece| !piece.is_empty());
        pieces.sort_by_key(|piece| piece.start);
        assert_eq!((pieces[0].start, pieces.last().unwrap().end), (0, len));
        assert!(pieces.is_sorted_by(|a, b| a.end == b.start));
    }

    #[test]
    fn what_does_not_fit_is_not_read() {
        let sweep = Sweep::with_memory(false);
        assert!(sweep.advance(u64::MAX, 1 << 30).is_empty());
        assert_eq!(sweep.reached(1 << 30), 0);
        let new = Sweep::default();
        assert!(
            new.advance(1 << 62, u64::MAX).is_empty(),
            "no machine has so much"
        );
        assert_eq!(new.fits.get(), Some(&false));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_memory_is_that_of_the_machine_or_less() {
        let total: u64 = std::fs::read_to_string("/proc/meminfo")
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))
            .unwrap()
            .parse()
            .unwrap();
        let memory = memory_for_files();
        assert!(
            (1 << 20..=total << 10).contains(&memory),
            "{memory} of {total} KiB"
        );
    }
}
