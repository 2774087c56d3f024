//! A connection that breaks.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Passes on what a server says, but each of the first connections ends after some bytes of it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    broken: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr, breaks: usize, after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let broken = Arc::new(AtomicUsize::new(0));
        let count = broken.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, count) = (client.unwrap(), count.clone());
                thread::spawn(move || {
                    let server = TcpStream::connect(server).unwrap();
                    let is_broken = |count| (count < breaks).then_some(count + 1);
                    let order = Ordering::SeqCst;
                    let breaks = count.fetch_update(order, order, is_broken).is_ok();
                    let left = if breaks { after } else { usize::MAX };
                    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let requests = thread::spawn(move || pass_on(from, to, usize::MAX));
                    pass_on(server, client, left);
                    requests.join().unwrap();
                });
            }
        });
        Self { address, broken }
    }

    /// How many connections have been broken, or will be.
    pub(crate) fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }
}

/// Passes on so many bytes, or all, and hangs up.
fn pass_on(mut from: TcpStream, mut to: TcpStream, mut left: usize) {
    let mut buffer = [0; 1 << 14];
    while left > 0 {
        let len = from.read(&mut buffer).unwrap_or(0).min(left);
        if len == 0 || to.write_all(&buffer[..len]).is_err() {
            break;
        }
        left -= len;
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
