//! Faults in mapped files, as errors for programs that ask for it.
//!
//! The system raises SIGBUS where a page of a map has no file behind it any more, or where the disk
//! cannot read it. [`catch_sigbus`] installs a handler that puts pages of zeros there and marks the
//! map, so that the copy that met the fault ends, and the check after it finds the mark. It is the
//! only global thing of this crate, so it is installed by the program that wants it, by name.
//!
//! This is one of the five files with unsafe code: the handler and its installation. What the
//! handler reads are atomics of a list whose entries are never freed.
#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// A mapped file, as the handler knows it.
///
/// The handler may read an entry while another thread, which maps or drops another file, writes it.
/// So the entry has a sequence number that is odd meanwhile, as in a seqlock. The handler passes
/// over an entry that is being written: the map that faulted is held by its thread.
struct Map {
    sequence: AtomicUsize,
    /// The address of its first byte, and the one after its last; both 0 if the entry is free.
    start: AtomicUsize,
    end: AtomicUsize,
    has_faulted: AtomicBool,
    /// The entry that was made before this one.
    next: *const Map,
}

// SAFETY: `next` is written before the entry is shared, and entries are never freed.
unsafe impl Sync for Map {}

impl Map {
    /// Writes the entry. Its one owner does so.
    fn set(&self, start: usize, end: usize) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.has_faulted.store(false, Ordering::Relaxed);
        self.start.store(start, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
        self.sequence.store(sequence + 2, Ordering::Release);
    }

    /// The end of the map, if it has an address.
    #[cfg(unix)]
    fn end_if_has(&self, address: usize) -> Option<usize> {
        let before = self.sequence.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Relaxed);
        let end = self.end.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let is_whole = before.is_multiple_of(2) && before == self.sequence.load(Ordering::Relaxed);
        (is_whole && (start..end).contains(&address)).then_some(end)
    }
}

/// The entry that was made last. A handler must not wait, so the list has no lock.
static MAPS: AtomicPtr<Map> = AtomicPtr::new(std::ptr::null_mut());
/// Entries whose maps are gone.
static FREE: Mutex<Vec<&'static Map>> = Mutex::new(Vec::new());

/// A map that the handler knows until this is dropped.
pub(super) struct Watched(&'static Map);

impl Watched {
    /// Lets the handler know the map of these bytes. The map must outlive what is returned.
    pub(super) fn new(map: &[u8]) -> Self {
        let start = map.as_ptr() as usize;
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let entry = free.unwrap_or_else(new_entry);
        entry.set(start, start + map.len());
        Self(entry)
    }

    /// An error if a page of the map could not be read, so that there are zeros now.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.has_faulted.load(Ordering::Acquire) {
            // All of the map is given up, so this is not about a row, as a failed read would be.
            let why = io::Error::other("a part of it could not be read; the disk may be failing");
            return Err(Error::io("the map of the file has a fault", why));
        }
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.set(0, 0);
        FREE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.0);
    }
}

fn new_entry() -> &'static Map {
    let entry = Box::leak(Box::new(Map {
        sequence: AtomicUsize::new(0),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        has_faulted: AtomicBool::new(false),
        next: std::ptr::null(),
    }));
    let mut first = MAPS.load(Ordering::Relaxed);
    loop {
        entry.next = first;
        match MAPS.compare_exchange_weak(first, entry, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return entry,
            Err(now) => first = now,
        }
    }
}

/// Makes a fault in a mapped file an error instead of SIGBUS, for the whole process and from now
/// on. Call it once, at the start of `main`.
///
/// Without it, a file that another program truncates while a batch is copied from it, as `np.save`
/// does with the file that it overwrites, kills the process. So does a page that the disk cannot
/// read. With it, the gather that meets such a page fails with
/// [`ErrorKind::Changed`](crate::ErrorKind::Changed) or [`ErrorKind::Io`](crate::ErrorKind::Io),
/// and so does every later gather from the file. It costs nothing while there is no fault, and
/// spares a look at each file before rows are copied from it.
///
/// It installs a handler for SIGBUS, which is why a library should leave it to the program. A fault
/// that is not in a file of this crate goes to the handler that was there before, or kills the
/// process, as without this handler. A handler that is installed later replaces this one. Views and
/// batches that borrow mapped pages, for which the user vouches, get zeros.
///
/// Does nothing on platforms other than Unix, where a mapped file cannot be truncated.
///
/// # Errors
///
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if the system refuses the handler.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// fn main() -> burn_npy::Result<()> {
///     burn_npy::catch_sigbus()?;
///     // Open files, make loaders, train.
///     Ok(())
/// }
/// ```
pub fn catch_sigbus() -> Result<()> {
    #[cfg(unix)]
    handler::install().map_err(|error| Error::io("cannot install a handler", error))?;
    CAUGHT.store(true, Ordering::Relaxed);
    Ok(())
}

static CAUGHT: AtomicBool = AtomicBool::new(false);

/// Whether [`catch_sigbus`] was called, so that a fault is an error.
pub(super) fn is_caught() -> bool {
    CAUGHT.load(Ordering::Relaxed)
}

#[cfg(unix)]
mod handler {
    use std::cell::UnsafeCell;
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr::{null, null_mut};
    use std::sync::Mutex;

    use libc::{c_int, c_void, sigaction, siginfo_t};

    use super::{MAPS, Map, Ordering, PoisonError};

    /// The handler that was there before.
    struct Previous(UnsafeCell<MaybeUninit<sigaction>>);

    // SAFETY: it is written once, by `install`, before the handler that reads it is installed.
    unsafe impl Sync for Previous {}

    static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::uninit()));
    static INSTALLED: Mutex<bool> = Mutex::new(false);

    pub(super) fn install() -> io::Result<()> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if *installed {
            return Ok(());
        }
        // SAFETY: all zeros are a valid `sigaction`; the pointers are valid for the calls; and
        // nothing reads `PREVIOUS` before the second call, since the handler is installed by that.
        let done = unsafe {
            let previous = PREVIOUS.0.get().cast();
            let mut new: sigaction = std::mem::zeroed();
            new.sa_sigaction = on_sigbus as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut new.sa_mask);
            match sigaction(libc::SIGBUS, null(), previous) {
                0 => sigaction(libc::SIGBUS, &new, null_mut()),
                failed => failed,
            }
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        *installed = true;
        Ok(())
    }

    extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the system gives a valid `info` to a handler with SA_SIGINFO.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
        // A program sends a signal with a code of 0 or less on Linux, and a large one elsewhere.
        // Such a signal has no address.
        let is_fault = (1..0x1_0000).contains(&code);
        let map = map_of(address).filter(|_| is_fault);
        if map.is_some_and(|(map, end)| put_zeros(map, address, end)) {
            return;
        }
        // SAFETY: it was written before this handler was installed, and never again.
        let previous = unsafe { (*PREVIOUS.0.get()).assume_init_ref() };
        match previous.sa_sigaction {
            libc::SIG_IGN if !is_fault => {}
            // The system kills the process when the instruction faults again. A signal that was
            // sent comes again when this handler returns.
            // SAFETY: `previous` is what the system gave, and both calls may be made in a handler.
            libc::SIG_DFL | libc::SIG_IGN => unsafe {
                let mut default = *previous;
                default.sa_sigaction = libc::SIG_DFL;
                sigaction(signal, &default, null_mut());
                if !is_fault {
                    libc::raise(signal);
                }
            },
            // SAFETY: the flag says which of the two kinds of handler it is.
            handler if previous.sa_flags & libc::SA_SIGINFO != 0 => unsafe {
                type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
                std::mem::transmute::<usize, Handler>(handler)(signal, info, context);
            },
            // SAFETY: as above.
            handler => unsafe {
                std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal);
            },
        }
    }

    /// The map that has an address, and its end.
    fn map_of(address: usize) -> Option<(&'static Map, usize)> {
        let mut next: *const Map = MAPS.load(Ordering::Acquire);
        // SAFETY: entries are never freed, and `next` is null or an entry.
        while let Some(map) = unsafe { next.as_ref() } {
            if let Some(end) = map.end_if_has(address) {
                return Some((map, end));
            }
            next = map.next;
        }
        None
    }

    /// Replaces the pages from the one with the address to the end of the map by zeros. In a file
    /// that was truncated, all of these are gone.
    fn put_zeros(map: &Map, address: usize, end: usize) -> bool {
        // Before there are zeros, so that whoever reads one finds the mark.
        map.has_faulted.store(true, Ordering::SeqCst);
        // SAFETY: `sysconf`, `mmap` and the location of `errno` may be used in a handler. The pages
        // are those of a map that this crate made and that somebody is reading from, so it is still
        // there; they become readable memory of any values, which is what they were before.
        unsafe {
            let page = address - address % libc::sysconf(libc::_SC_PAGESIZE) as usize;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED;
            let zeros = libc::mmap(
                page as *mut c_void,
                end - page,
                libc::PROT_READ,
                flags,
                -1,
                0,
            );
            zeros as usize == page
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry is read whole or not at all, so an address below every map is in none.
    #[test]
    fn an_entry_that_changes_meanwhile_has_no_address() {
        let entry = new_entry();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..300_000 {
                    let start = 0x10_0000 + round % 7 * 0x1000;
                    entry.set(start, start + 0x100);
                    entry.set(0, 0);
                }
                stop.store(true, Ordering::Relaxed);
            });
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(entry.end_if_has(0x1000), None);
                let end = entry.end_if_has(0x10_0080);
                assert!(end.is_none_or(|end| end == 0x10_0100), "{end:?}");
            }
        });
        FREE.lock().unwrap().push(entry);
    }
}
