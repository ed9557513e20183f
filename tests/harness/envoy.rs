//! A real Envoy, ready when its listener is, ended on drop.

use crate::bootstrap::{Listener, checkout, root_ids};
use crate::http::Connection;
use crate::{PATIENCE, wait_for};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// Envoy reads JSON as the YAML that it is.
const BOOTSTRAP: &str = "bootstrap.yaml";

/// A running Envoy.
pub struct Envoy {
    child: Child,
    folder: TempDir,
    admin: SocketAddr,
    front: SocketAddr,
    _reserved: Socket,
}

/// How it is started.
pub struct Start {
    listener: Listener,
    workers: usize,
    environment: Vec<(String, String)>,
}

impl Envoy {
    /// With `listener`, on four workers unless said otherwise.
    pub fn with(listener: Listener) -> Start {
        Start { listener, workers: 4, environment: Vec::new() }
    }

    /// Where its listener is.
    pub fn front(&self) -> SocketAddr {
        self.front
    }

    /// A new connection to its listener.
    pub fn connect(&self) -> Connection {
        Connection::open(self.front)
    }

    /// The value of a statistic; 0 if there is none of that name.
    pub fn stat(&self, name: &str) -> u64 {
        let text = self.admin("GET", &format!("/stats?filter=^{}$", name.replace('.', "\\.")));
        text.trim().rsplit_once(": ").map_or(0, |(_, value)| value.parse().expect("a number"))
    }

    /// The value of one of our counters, `rate_limit.admitted`.
    pub fn counter(&self, name: &str) -> u64 {
        let module = name.split('.').next().unwrap_or_default().replace('_', "-");
        assert!(root_ids().any(|root_id| root_id == module), "{name} names no module");
        self.stat(&format!("wasmcustom.tidegate.{name}"))
    }

    /// Replaces the listener's configuration as an operator would: a new file, moved into place.
    pub fn reload(&self, listener: &Listener) {
        write_listeners(self.folder.path(), &listener.resource(self.front.port()));
    }

    /// What Envoy logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("envoy.log")).unwrap_or_default()
    }

    /// The lines `<status> <response code details>` of the access log.
    pub fn access_log(&self) -> String {
        self.admin("POST", "/reopen_logs");
        fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }

    /// How long its threads have run on a processor.
    pub fn cpu_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it is running");
        let nanos = threads.flatten().filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is running");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
        kib * 1024
    }

    /// Fails if a VM has trapped since it started.
    pub fn assert_no_vm_restarted(&self) {
        let restarts = self.admin("GET", "/stats?filter=^wasm\\..*\\.vm_reload");
        let restarted = restarts.lines().any(|line| !line.ends_with(": 0"));
        assert!(!restarted, "a VM was restarted:\n{restarts}\nEnvoy's log:\n{}", self.log());
        assert!(!self.log().contains("in-VM backtrace"), "a VM trapped:\n{}", self.log());
    }

    /// What its administration answers.
    pub fn admin(&self, method: &str, path: &str) -> String {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\n\r\n");
        let answer = Connection::open(self.admin).exchange(request.as_bytes()).expect("the admin answers");
        String::from_utf8(answer.body).expect("text")
    }
}

impl Start {
    /// On this many workers.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// With a variable in its environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until its listener is there.
    pub fn start(self) -> Envoy {
        let (envoy, ready) = self.launch();
        assert!(ready, "Envoy refused the listener:\n{}", envoy.log());
        envoy
    }

    /// Starts it with a listener that it must refuse, and gives its log.
    pub fn refused(self) -> String {
        let (envoy, ready) = self.launch();
        assert!(!ready, "Envoy took the listener");
        envoy.log()
    }

    fn launch(self) -> (Envoy, bool) {
        let folder = tempfile::tempdir().expect("a folder for Envoy");
        let (front, reserved) = reserve_address();
        let listeners = folder.path().join("listeners.json");
        write_listeners(folder.path(), &self.listener.resource(front.port()));
        fs::write(folder.path().join(BOOTSTRAP), self.listener.bootstrap(&listeners).to_string())
            .expect("written");
        Envoy::spawn(folder, (front, reserved), self.workers, self.environment)
    }
}

impl Envoy {
    /// With a whole configuration of its own, given the port to listen on; on two workers.
    pub fn from_bootstrap(text: impl FnOnce(u16) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder for Envoy");
        let (front, reserved) = reserve_address();
        fs::write(folder.path().join(BOOTSTRAP), text(front.port())).expect("written");
        Self::spawn(folder, (front, reserved), 2, Vec::new()).0
    }

    fn spawn(
        folder: TempDir,
        (front, reserved): (SocketAddr, Socket),
        workers: usize,
        environment: Vec<(String, String)>,
    ) -> (Self, bool) {
        let errors = fs::File::create(folder.path().join("envoy.err")).expect("envoy.err");
        let child = Command::new(binary())
            .args(["--config-path", BOOTSTRAP, "--admin-address-path", "admin", "--log-path", "envoy.log"])
            .args(["--log-level", "warning", "--disable-hot-restart", "--drain-time-s", "2"])
            .args(["--concurrency", &workers.to_string()])
            .envs(environment)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("Envoy starts");
        let mut envoy = Self { child, folder, admin: front, front, _reserved: reserved };
        envoy.admin = wait_for("Envoy's admin address", PATIENCE, || {
            if let Ok(Some(status)) = envoy.child.try_wait() {
                panic!("Envoy ended with {status}:\n{}", envoy.log());
            }
            fs::read_to_string(envoy.folder.path().join("admin")).ok()?.trim().parse().ok()
        });
        let ready = wait_for("Envoy's listener", PATIENCE, || {
            let refused = envoy.stat("listener_manager.lds.update_rejected") > 0;
            (refused || envoy.stat("listener_manager.workers_started") > 0).then_some(!refused)
        });
        (envoy, ready)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("Envoy's log:\n{}", self.log());
        }
    }
}

/// A port of ours, and what keeps it so: bound and not listening, it shares the port with Envoy's listeners, which set
/// SO_REUSEPORT too, and with nobody else. The port must be known before Envoy starts: a listener whose address changes is
/// not updated in place, and connections that wait to be accepted are reset.
fn reserve_address() -> (SocketAddr, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("set");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("its address");
    (address, socket)
}

fn write_listeners(folder: &Path, listener: &Value) {
    let document = json!({ "version_info": "", "resources": [listener] });
    fs::write(folder.join("next.json"), document.to_string()).expect("next.json");
    fs::rename(folder.join("next.json"), folder.join("listeners.json")).expect("listeners.json");
}

fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let found = Command::new(checkout().join("envoy/find-envoy.sh"))
            .stderr(Stdio::inherit())
            .output()
            .expect("envoy/find-envoy.sh runs");
        assert!(found.status.success(), "no Envoy: see the message above");
        PathBuf::from(String::from_utf8(found.stdout).expect("a path").trim())
    })
}
