//! Servers that are child processes of this program, each behind a proxy that counts bytes.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use burn::remote::RemoteHost;
use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::Device;

/// Serves a CPU on a port of this machine, 0 for any, and says which. It ends with its parent.
pub(crate) fn serve(port: u16) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    RemoteServer::new([Device::flex()]).serve(WebSocketTransport::from_listener(listener))?;
    Ok(())
}

/// A server process, and the address at which clients reach it.
pub(crate) struct Server {
    child: Child,
    port: u16,
    address: String,
    sent: Arc<AtomicU64>,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let (child, port) = spawn(0)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("ws://{}", listener.local_addr()?);
        let sent = Arc::new(AtomicU64::new(0));
        let counter = sent.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is gone closes the connection, as without a proxy.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    pump(&client, &server, Some(counter.clone()));
                    pump(&server, &client, None);
                }
            }
        });
        Ok(Self {
            child,
            port,
            address,
            sent,
        })
    }

    /// A device of the server, in a session of its own for each credential.
    pub(crate) fn device(&self, credential: &str) -> Result<Device, Box<dyn Error>> {
        let host = RemoteHost::websocket(&self.address).with_credential(credential);
        Ok(Device::remote_options(&host).init()?)
    }

    /// How many bytes were sent to the server so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Another server at the same port.
    pub(crate) fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        self.kill()?;
        (self.child, _) = spawn(self.port)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// This program as a server, and its port.
fn spawn(port: u16) -> Result<(Child, u16), Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--serve", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("the server has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let port = line.trim().parse();
    Ok((child, port.map_err(|_| "the server did not start")?))
}

/// Copies from one connection to another until one of them ends, and then ends both.
fn pump(from: &TcpStream, to: &TcpStream, counter: Option<Arc<AtomicU64>>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if let Some(counter) = &counter {
                counter.fetch_add(count as u64, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
