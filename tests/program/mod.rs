//! The real program at work: started, watched through its log and its API, told to stop.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, LazyLock, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

pub const COMOVE: &str = env!("CARGO_BIN_EXE_comove");

/// Nothing here takes so long unless it hangs, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Small pictures, small batches, one thread: a step takes a fraction of a second.
const CONFIG: &str = r#"
[ingest]
backoff_first = "100ms"
backoff_longest = "400ms"
[decode]
threads = 1
[replay]
min_samples = 4
samples_per_insert = 1.0
final_samples_per_insert = 1.0
[train]
preset = "micro"
device = "cpu"
batch_size = 4
threads = 1
report_every = 1
warmup_steps = 1
[server]
listen = "127.0.0.1:0"
[log]
format = "json"
"#;

/// Moving patterns without end.
pub const PATTERNS: &str = "synthetic:width=160&height=120";

/// A folder with a config; checkpoints go to its `checkpoints`.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
        Self { folder }
    }

    /// A place where a run has ended after two steps.
    pub fn with_checkpoint() -> Self {
        static TRAINED: LazyLock<Place> = LazyLock::new(|| {
            let place = Place::new();
            let ended = Run::start(&place.run([PATTERNS, "--max-steps=2"])).end();
            assert!(ended.status.success(), "{ended:?}");
            place
        });
        let place = Self::new();
        copy_folder(&TRAINED.checkpoints(), &place.checkpoints());
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.path("checkpoints")
    }

    /// Writes further lines to the config's end.
    pub fn append(&self, text: &str) {
        let path = self.path("config.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, config + text).unwrap();
    }

    /// `comove run` here with further arguments.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Vec<std::ffi::OsString> {
        let mut all = vec!["run".into(), "-c".into(), self.path("config.toml").into()];
        all.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        all
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, copy) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), copy).unwrap();
        } else if kind.is_dir() {
            copy_folder(&entry.path(), &copy);
        } else {
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// All log lines with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let lines = self
            .stderr
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line["message"] == message).collect()
    }
}

/// A program at work.
pub struct Run {
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Option<(JoinHandle<String>, JoinHandle<()>)>,
}

impl Run {
    pub fn start(args: &[impl AsRef<OsStr>]) -> Self {
        Self::spawn(Command::new(COMOVE).args(args))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .env_remove("COMOVE_LOG")
            .env_remove("COMOVE_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut stdout = child.stdout.take().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let read_stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        let read_stderr = thread::spawn({
            let log = log.clone();
            move || {
                let mut line = String::new();
                while stderr.read_line(&mut line).unwrap() > 0 {
                    log.lock().unwrap().push_str(&line);
                    line.clear();
                }
            }
        });
        Self {
            child,
            log,
            readers: Some((read_stdout, read_stderr)),
        }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Looks until there is something to see.
    pub fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let over = self.is_over();
            if let Some(seen) = look(self) {
                return seen;
            }
            let log = || self.log.lock().unwrap().clone();
            assert!(!over, "ended before {what}:\n{}", log());
            assert!(Instant::now() < deadline, "no {what}:\n{}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for a log line.
    pub fn wait_for_line(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(what, |run| {
            let log = run.log.lock().unwrap();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
            lines.find(|line| wanted(line))
        })
    }

    pub fn wait_for_message(&mut self, message: &str) -> Value {
        self.wait_for_line(message, |line| line["message"] == message)
    }

    /// Where metrics and API are; the port was the system's choice.
    pub fn url(&mut self, path: &str) -> String {
        let begins = "metrics and API at ";
        let line = self.wait_for_line("address", |line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.starts_with(begins))
        });
        let address = line["message"].as_str().unwrap().trim_start_matches(begins);
        format!("{}{path}", address.trim_end_matches('/'))
    }

    /// What it serves at `path`; nothing when it has ended.
    pub fn get(&mut self, path: &str) -> Option<String> {
        let url = self.url(path);
        ureq::get(url).call().ok()?.body_mut().read_to_string().ok()
    }

    pub fn json(&mut self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).expect("an answer")).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let status = self.wait_for("end", |run| run.child.try_wait().unwrap());
        let (stdout, stderr) = self.readers.take().unwrap();
        let stdout = stdout.join().unwrap();
        stderr.join().unwrap();
        let stderr = self.log.lock().unwrap().clone();
        Ended {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Run {
    /// A test that fails leaves no program behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end.
pub fn comove(args: &[impl AsRef<OsStr>]) -> Ended {
    Run::start(args).end()
}

/// Runs the program, which must fail with this exit code and say all of this on standard error, without a panic.
pub fn refused(args: &[impl AsRef<OsStr>], code: i32, said: &[&str]) -> Ended {
    let shown: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
    let ended = comove(args);
    assert_eq!(ended.status.code(), Some(code), "{shown:?}: {ended:?}");
    for text in said {
        assert!(
            ended.stderr.contains(text),
            "{shown:?}: no {text:?} in {}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("panicked"), "{shown:?}: {}", ended.stderr);
    ended
}

/// A stream's account on a page of metrics: received, settled and buffered access units.
pub fn account(page: &str, stream: &str) -> (u64, u64, u64) {
    let sum = |family: &str| -> u64 {
        let begins = format!("{family}{{stream=\"{stream}\"");
        let lines = page.lines().filter(|line| line.starts_with(&begins));
        let values: Vec<u64> = lines
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(!values.is_empty(), "no {begins} in {page}");
        values.iter().sum()
    };
    (
        sum("comove_access_units_received_total"),
        sum("comove_access_units_settled_total"),
        sum("comove_access_units_buffered"),
    )
}
