//! An epoch over a file that is larger than memory, by each way to read it.
//!
//! `cargo bench -p burn-npy-core --bench beyond [-- --quick]`
//!
//! The ids are `beyond/<row>/<way>`. Each way runs in a process of its own, in a cgroup whose
//! memory, page cache included, is limited to a quarter of the file. Where no cgroup can be made,
//! the file is larger than the free memory of the machine. A rate is printed for each tenth of the
//! epoch, which shows a way that collapses once the memory is full, and so is the peak memory of
//! the process.
#![cfg(unix)]

#[allow(dead_code, reason = "each bench uses its part")]
mod disk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use burn_npy_core::Result;
use disk::{BATCH, WAYS};

/// A file is written in pieces of this size.
const PIECE: usize = 64 << 20;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--way") {
        return epoch(&args[at + 1..]);
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let (size, limit) = if quick {
        (512 << 20, 128 << 20)
    } else {
        (4 << 30, 1 << 30)
    };
    // Not the folder for temporary files, which may be in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to write to");
    let group = Group::new(limit);
    let size = match &group {
        Ok(_) => {
            println!("{} MiB, of which {} fit", size >> 20, limit >> 20);
            size
        }
        Err(why) => {
            println!("no group of processes with a limit: {why}");
            let Some(size) = beyond_the_machine(dir.path()) else {
                println!("nor is there room for a file that is larger than the memory");
                return Ok(());
            };
            println!("{} MiB, more than what is free", size >> 20);
            size
        }
    };
    println!(
        "{:32} {:>8} {:>8}  rows/s of each tenth of the epoch",
        "id", "rows/s", "own MiB"
    );
    for row_bytes in [4 << 10, 150 << 10] {
        let path = dir.path().join(format!("{row_bytes}.npy"));
        disk::write(&path, size, row_bytes)?;
        let rows = size / PIECE * (PIECE / row_bytes);
        for way in WAYS {
            disk::drop_from_cache(&path);
            let mut epoch = Command::new(&args[0]);
            epoch
                .args(["--way", way, &rows.to_string(), &row_bytes.to_string()])
                .arg(&path);
            if let Ok(group) = &group {
                epoch.arg(&group.0);
            }
            let status = epoch.status().expect("the bench itself");
            assert!(status.success(), "{way}: {status}");
        }
        let _ = fs::remove_file(&path);
    }
    Ok(())
}

/// One epoch in one way, in the group if there is one.
fn epoch(args: &[String]) -> Result<()> {
    /// The naive way would take an hour.
    const NAIVE: Duration = Duration::from_secs(10);
    let (way, path) = (&*args[0], Path::new(&args[3]));
    let (rows, row_bytes): (usize, usize) = (args[1].parse().unwrap(), args[2].parse().unwrap());
    if let Some(group) = args.get(4) {
        // 0 is who writes it.
        fs::write(Path::new(group).join("cgroup.procs"), "0").expect("a place in the group");
    }
    let batches = disk::shuffled(rows, 0);
    let mut reader = disk::open(way, path, row_bytes)?;
    let begin = Instant::now();
    let (mut since, mut from, mut own) = (begin, 0, 0);
    let mut tenths = String::new();
    let mut done = batches.len();
    for (at, rows) in batches.iter().enumerate() {
        disk::check(rows, reader.read(&batches, at));
        if (at + 1) * 10 / batches.len() > at * 10 / batches.len() {
            let rate = ((at + 1 - from) * BATCH) as f64 / since.elapsed().as_secs_f64();
            tenths += &format!(" {rate:.0}");
            (since, from, own) = (Instant::now(), at + 1, own.max(own_memory()));
        }
        if way == "mapped-naive" && begin.elapsed() > NAIVE {
            done = at + 1;
            tenths += &format!(" stopped after {} %", done * 100 / batches.len());
            break;
        }
    }
    let rate = (done * BATCH) as f64 / begin.elapsed().as_secs_f64();
    let id = format!("beyond/{}-KiB/{way}", row_bytes >> 10);
    println!(
        "{id:32} {rate:>8.0} {:>8} {tenths}",
        own.max(own_memory()) >> 20
    );
    Ok(())
}

/// The bytes that are not pages of a file; 0 where the system does not tell.
fn own_memory() -> usize {
    kib("/proc/self/status", "RssAnon:").unwrap_or(0)
}

/// Of a line such as `RssAnon:  1234 kB`, in bytes.
fn kib(file: &str, line: &str) -> Option<usize> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|text| text.strip_prefix(line))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? << 10)
}

/// The size of a file that does not fit into the memory of the machine, if the disk has room.
fn beyond_the_machine(dir: &Path) -> Option<usize> {
    let size = kib("/proc/meminfo", "MemAvailable:")? / 4 * 5;
    let disk = rustix::fs::statvfs(dir).ok()?;
    let room = (disk.f_bavail * disk.f_frsize) as usize;
    // Some is left to others.
    (size + (8 << 30) < room).then_some(size / PIECE * PIECE)
}

/// A cgroup with limited memory, removed on drop.
struct Group(PathBuf);

impl Group {
    /// Inside the cgroup of this process in version 1, and beside it in version 2, where a cgroup
    /// has either processes or cgroups.
    fn new(limit: usize) -> io::Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let own = |kind: &str| groups.lines().find_map(|line| line.split_once(kind));
        let (inside_of, file) = match (own(":memory:"), own("0::")) {
            (Some((_, own)), _) => (
                Path::new("/sys/fs/cgroup/memory").join(own.trim_start_matches('/')),
                "memory.limit_in_bytes",
            ),
            (_, Some((_, own))) => {
                let own = Path::new("/sys/fs/cgroup").join(own.trim_start_matches('/'));
                let beside = own.parent().filter(|dir| dir.starts_with("/sys/fs/cgroup"));
                (beside.unwrap_or(&own).to_path_buf(), "memory.max")
            }
            _ => return Err(io::Error::other("the system has no groups")),
        };
        let group = Self(inside_of.join(format!("burn-npy-{}", std::process::id())));
        fs::create_dir(&group.0)?;
        // A folder of another kind would get a plain file.
        fs::metadata(group.0.join(file))?;
        fs::write(group.0.join(file), limit.to_string())?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
