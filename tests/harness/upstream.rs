//! An upstream that answers every request as it is told to, remembers when it came, and can be cut off and come back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// More than lies in all buffers between it and a client.
const LARGE: usize = 160 << 20;

/// What it saw of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its head was complete.
    pub at: Instant,
    /// Its method.
    pub method: String,
    /// Its target.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Seen {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// These bytes, head included.
    Send(Vec<u8>),
    /// Nothing for so long.
    Wait(Duration),
    /// Nothing until the gate is open.
    Until(Gate),
    /// The connection ends.
    Close,
    /// The connection belongs to this function, and ends when that does.
    Hand(fn(&mut dyn BufRead, &mut dyn Write) -> Option<()>),
}

/// Holds an upstream back until a test opens it; after a minute the connection ends instead.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets all through.
    pub fn open(&self) {
        *self.0.0.lock().expect("no thread panics") = true;
        self.0.1.notify_all();
    }

    fn wait(&self) -> Option<()> {
        let closed = self.0.0.lock().ok()?;
        let waited = self.0.1.wait_timeout_while(closed, Duration::from_secs(60), |open| !*open).ok()?;
        (!waited.1.timed_out()).then_some(())
    }
}

type Script = dyn Fn(&Seen) -> Vec<Step> + Send + Sync;

/// A running upstream. Its threads end with the test's process.
pub struct Upstream {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    script: Mutex<Arc<Script>>,
    life: Mutex<Life>,
}

/// One life ends with a cut.
#[derive(Default)]
struct Life {
    number: u64,
    connections: Vec<TcpStream>,
}

impl Upstream {
    /// On a free port; answers `ok`, and what ends in `/large` with more than that.
    pub fn start() -> Self {
        Self::answering(|seen| {
            let body = if seen.target.ends_with("/large") { vec![b'.'; LARGE] } else { b"ok".to_vec() };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        })
    }

    /// On a free port; answers with these bytes.
    pub fn answering(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::scripted(move |seen| vec![Step::Send(answer(seen))])
    }

    /// On a free port; answers as `script` says.
    pub fn scripted(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            script: Mutex::new(Arc::new(script)),
            life: Mutex::default(),
        });
        let upstream = Self { port, shared };
        upstream.listen(listener);
        upstream
    }

    /// Answers as `script` says from now on.
    pub fn follow(&self, script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) {
        *self.shared.script.lock().expect("no thread panics") = Arc::new(script);
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it saw so far, in the order in which it came; without Envoy's health checks.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no thread panics").clone()
    }

    /// Remembers nothing of what it saw so far.
    pub fn forget(&self) {
        self.shared.seen.lock().expect("no thread panics").clear();
    }

    /// Ends all its connections and takes no new ones, as if its process had been killed.
    pub fn cut(&self) {
        let mut life = self.shared.life.lock().expect("no thread panics");
        life.number += 1;
        life.connections.drain(..).for_each(|connection| {
            let _ = connection.shutdown(Shutdown::Both);
        });
        drop(life);
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Comes back on the same port.
    pub fn restart(&self) {
        let again = || TcpListener::bind(("127.0.0.1", self.port)).ok();
        self.listen(crate::wait_for("the port", Duration::from_secs(10), again));
    }

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let number = shared.life.lock().expect("no thread panics").number;
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut life = shared.life.lock().expect("no thread panics");
                if life.number != number {
                    return;
                }
                life.connections.extend(connection.try_clone());
                drop(life);
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    serve(&connection, &shared);
                    let _ = connection.shutdown(Shutdown::Both);
                });
            }
        });
    }
}

fn serve(connection: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    connection.set_nodelay(true).ok()?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let (mut length, mut chunked) = (0, false);
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "content-length" => length = value.parse().ok()?,
                "transfer-encoding" => chunked = true,
                _ => {}
            }
            headers.push((name, value.to_owned()));
        }
        let at = Instant::now();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        while chunked {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            body.extend(&chunk[..size]);
            chunked = size > 0;
        }
        let seen = Seen { at, method, target, headers, body };
        if seen.header("user-agent") != Some("Envoy/HC") {
            shared.seen.lock().ok()?.push(seen.clone());
        }
        let script = Arc::clone(&*shared.script.lock().ok()?);
        for step in script(&seen) {
            match step {
                Step::Send(bytes) => writer.write_all(&bytes).ok()?,
                Step::Wait(time) => thread::sleep(time),
                Step::Until(gate) => gate.wait()?,
                Step::Close => return connection.shutdown(Shutdown::Both).ok(),
                Step::Hand(serve) => return serve(&mut reader, &mut writer),
            }
        }
    }
}
