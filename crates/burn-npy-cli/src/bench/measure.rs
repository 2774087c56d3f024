//! Rounds of a pass over rows, by any number of threads, and the plain copy beside them.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use burn_npy_core::file::{Buffer, Column, gather_columns};
use burn_npy_core::internal::{readahead, readahead_rows};
use burn_npy_core::order::{Order, Plan};
use burn_npy_core::{Result, Sampler};

use crate::failure::Outcome;

/// How many bytes of rows the plain copy has at most.
const COPIED: usize = 1 << 30;
/// How many bytes are read at a time for it.
const CHUNK: usize = 1 << 20;

/// The memory of a batch, for each column.
type Batch = Vec<Buffer>;

/// The batches of a shuffled epoch.
pub(super) struct Pass<'a> {
    columns: &'a [Column],
    order: Order,
    plan: Plan,
    /// How many batches ahead of the gather the system is asked for rows; 0 for never.
    ahead: u64,
}

impl<'a> Pass<'a> {
    /// A pass over the first `rows` rows.
    pub(super) fn new(columns: &'a [Column], rows: usize, batch: usize) -> Self {
        let order = Sampler::shuffled(0).order(rows as u64, 0);
        let plan = Plan::new(0..order.len(), batch, false);
        let ahead = columns.iter().map(readahead_rows).max().unwrap_or(0);
        Self {
            columns,
            order,
            plan,
            ahead: ahead.div_ceil(batch) as u64,
        }
    }

    /// The rows of a batch, where the first batch follows the last.
    fn rows(&self, batch: u64, rows: &mut Vec<usize>) {
        rows.clear();
        let positions = self.plan.batch(batch % self.plan.num_batches());
        rows.extend(self.order.rows(positions).map(|row| row as usize));
    }

    fn memory(&self) -> Result<Batch> {
        let Range { start, end } = self.plan.batch(0);
        let rows = (end - start) as usize;
        let columns = self.columns.iter();
        columns
            .map(|column| Buffer::zeroed(rows * column.row_bytes()))
            .collect()
    }

    /// Gathers a batch.
    fn gather(&self, batch: u64, rows: &mut Vec<usize>, memory: &mut Batch) -> Result<()> {
        if self.ahead > 0 {
            self.rows(batch + self.ahead, rows);
            self.columns.iter().for_each(|column| {
                readahead(column, rows);
            });
        }
        self.rows(batch, rows);
        let both = self.columns.iter().zip(memory);
        let mut both: Vec<_> = both
            .map(|(column, buffer)| {
                buffer.set_len(rows.len() * column.row_bytes());
                (column, buffer.as_mut_slice())
            })
            .collect();
        gather_columns(&mut both, rows).map_err(|(_, error)| error)
    }

    /// The rows a second of a round, from batch `place` on. It moves `place` on.
    ///
    /// Each of the threads takes the next batch and memory that nobody uses, and sends the memory
    /// to this thread, which puts it back. There is memory for what is in the queue, for each
    /// thread, and for this one. So there is always some for a thread. When the round ends, this
    /// thread takes no more, and the threads end when they cannot send.
    pub(super) fn round(&self, threads: usize, place: &mut u64, limit: Limit) -> Result<f64> {
        if threads == 0 {
            let (mut rows, mut memory) = (Vec::new(), self.memory()?);
            return rate(limit, || {
                self.gather(*place, &mut rows, &mut memory)?;
                *place += 1;
                Ok(rows.len())
            });
        }
        let memories: Result<Vec<_>> = (0..2 * threads + 1).map(|_| self.memory()).collect();
        let unused = Mutex::new(memories?);
        let unused = || unused.lock().unwrap_or_else(PoisonError::into_inner);
        let next = AtomicU64::new(*place);
        let work = |send: std::sync::mpsc::SyncSender<Result<(usize, Batch)>>| {
            let mut rows = Vec::new();
            loop {
                let batch = next.fetch_add(1, Ordering::Relaxed);
                let taken = unused().pop();
                let Some(mut memory) = taken else { return };
                let gathered = self.gather(batch, &mut rows, &mut memory);
                let is_wrong = gathered.is_err();
                if send.send(gathered.map(|()| (rows.len(), memory))).is_err() || is_wrong {
                    return;
                }
            }
        };
        let rate = thread::scope(|scope| {
            let (send, receive) = sync_channel(threads);
            for _ in 0..threads {
                let send = send.clone();
                scope.spawn(move || work(send));
            }
            drop(send);
            rate(limit, || match receive.recv() {
                Ok(batch) => {
                    let (rows, memory) = batch?;
                    unused().push(memory);
                    Ok(rows)
                }
                Err(_) => Ok(0),
            })
        });
        *place = next.into_inner();
        rate
    }
}

/// Rows in memory, one after the other.
pub(super) struct Copies {
    rows: usize,
    buffers: Vec<Buffer>,
}

impl Copies {
    /// Reads rows in order until `end`, or until they are many enough.
    pub(super) fn read(columns: &[Column], end: Instant) -> Result<Self> {
        let row_bytes: usize = columns.iter().map(Column::row_bytes).sum();
        let rows = columns.first().map_or(0, Column::rows);
        let rows = rows.min((COPIED / row_bytes.max(1)).max(1));
        let chunk = (CHUNK / row_bytes.max(1)).max(1);
        let buffers = columns
            .iter()
            .map(|column| Buffer::zeroed(rows * column.row_bytes()));
        let mut buffers = buffers.collect::<Result<Vec<_>>>()?;
        let mut done = 0;
        while done < rows && (done == 0 || Instant::now() < end) {
            let some: Vec<_> = (done..rows.min(done + chunk)).collect();
            for (column, buffer) in columns.iter().zip(&mut buffers) {
                let bytes = column.row_bytes();
                let part = done * bytes..(done + some.len()) * bytes;
                column.gather(&some, &mut buffer.as_mut_slice()[part])?;
            }
            done += some.len();
        }
        Ok(Self {
            rows: done,
            buffers,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// As [`Pass::round`], by copies in memory.
    pub(super) fn round(&self, pass: &Pass<'_>, place: &mut u64, limit: Limit) -> Result<f64> {
        let (mut rows, mut memory) = (Vec::new(), pass.memory()?);
        rate(limit, || {
            pass.rows(*place, &mut rows);
            for ((column, from), to) in pass.columns.iter().zip(&self.buffers).zip(&mut memory) {
                let bytes = column.row_bytes();
                let (from, to) = (from.as_slice(), to.as_mut_slice());
                for (row, to) in rows.iter().zip(to.chunks_exact_mut(bytes.max(1))) {
                    to.copy_from_slice(&from[row * bytes..][..bytes]);
                }
            }
            std::hint::black_box(&mut memory);
            *place += 1;
            Ok(rows.len())
        })
    }
}

/// When a round ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) time: Duration,
    /// After so many rows.
    pub(super) rows: usize,
}

/// Calls `step`, which returns how many rows it has done, until the round ends; at least once.
fn rate(limit: Limit, mut step: impl FnMut() -> Result<usize>) -> Result<f64> {
    let start = Instant::now();
    let mut rows = 0;
    loop {
        let done = step()?;
        rows += done;
        let elapsed = start.elapsed();
        if elapsed >= limit.time || rows >= limit.rows || done == 0 {
            return Ok(rows as f64 / elapsed.as_secs_f64().max(1e-9));
        }
    }
}

pub(super) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

/// Tells the system to forget what it has in memory of a file. It keeps what is mapped.
#[cfg(target_os = "linux")]
pub(super) fn forget(path: &Path) -> Outcome<()> {
    use rustix::fs::{Advice, fadvise};

    let forget = || -> std::io::Result<()> {
        let file = std::fs::File::open(path)?;
        // What is not on the disk yet is not forgotten.
        file.sync_all()?;
        Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
    };
    let file = burn_npy_core::internal::shown_path(path);
    forget().map_err(|error| format!("{file}: cannot forget it: {error}").into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn forget(_: &Path) -> Outcome<()> {
    Err("--cold needs Linux".to_owned().into())
}

/// What this process has read from disks so far; `None` if the system does not say.
pub(super) fn disk_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("read_bytes: ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Array;
    use burn_npy_core::ndarray::{Array1, Array2};

    use super::*;

    #[test]
    fn all_ways_give_the_rows_of_the_order() {
        let numbers = Array2::from_shape_fn((1000, 3), |(i, j)| (10 * i + j) as u32);
        let labels = Array1::from_shape_fn(1000, |i| i as u8);
        let arrays = [Array::from(numbers), Array::from(labels)];
        let columns = arrays.map(|array| Column::new(array).unwrap());
        let pass = Pass::new(&columns, 1000, 64);
        let (mut rows, mut memory) = (Vec::new(), pass.memory().unwrap());
        let mut seen = Vec::new();
        for batch in 0..16 {
            pass.gather(batch, &mut rows, &mut memory).unwrap();
            let numbers: &[u32] = bytemuck::cast_slice(memory[0].as_slice());
            for ((row, numbers), label) in
                rows.iter().zip(numbers.chunks(3)).zip(memory[1].as_slice())
            {
                assert_eq!(numbers, [0, 1, 2].map(|j| (10 * row + j) as u32));
                assert_eq!(*label, *row as u8);
            }
            seen.extend_from_slice(&rows);
        }
        // A pass has each row once, and begins anew then.
        pass.rows(16, &mut rows);
        assert_eq!(rows, seen[..64]);
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());

        let copies = Copies::read(&columns, Instant::now() + Duration::from_secs(60)).unwrap();
        assert_eq!(copies.rows(), 1000);
        for (column, buffer) in columns.iter().zip(&copies.buffers) {
            let all: Vec<_> = (0..1000).collect();
            let mut expected = Buffer::zeroed(1000 * column.row_bytes()).unwrap();
            column.gather(&all, expected.as_mut_slice()).unwrap();
            assert_eq!(buffer.as_slice(), expected.as_slice());
        }
    }

    #[test]
    fn rounds_end_and_move_on() {
        let columns = [Column::new(Array::from(Array1::from_iter(0..10_000_i32))).unwrap()];
        let pass = Pass::new(&columns, 10_000, 10);
        for threads in [0, 1, 3] {
            let mut place = 7;
            let time = Duration::from_millis(5);
            let rows = usize::MAX;
            assert!(
                pass.round(threads, &mut place, Limit { time, rows })
                    .unwrap()
                    > 0.0
            );
            assert!(place > 7);
            let (mut place, rows) = (0, 95);
            let time = Duration::from_secs(60);
            assert!(
                pass.round(threads, &mut place, Limit { time, rows })
                    .unwrap()
                    > 0.0
            );
            assert!(place >= 10 && (threads > 0 || place == 10));
        }
    }

    #[test]
    fn a_middle_rate_is_taken() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
