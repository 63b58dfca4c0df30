//! Headless Chromium under remote control: pages in colours and sizes of people's choice, keys, and questions in JavaScript.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// No answer takes so long unless the browser hangs, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub struct Browser {
    child: Child,
    answers: Receiver<Value>,
    asked: u64,
    session: Option<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where there is no Chromium; under CI that fails.
    pub fn start() -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        // The DevTools protocol over file descriptors 3 and 4, each message ended by a zero byte.
        let script = "command -v chromium >/dev/null || exit 127; exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut child = Command::new("sh")
            .args([
                "-c",
                script,
                "sh",
                "--remote-debugging-pipe",
                "--headless",
                "--no-sandbox",
            ])
            .args([
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (tell, answers) = channel();
        std::thread::spawn(move || {
            let (mut held, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                held.extend_from_slice(&buffer[..count]);
                while let Some(end) = held.iter().position(|byte| *byte == 0) {
                    let message: Vec<u8> = held.drain(..=end).collect();
                    if tell
                        .send(serde_json::from_slice(&message[..end]).unwrap())
                        .is_err()
                    {
                        return;
                    }
                }
            }
        });
        let mut browser = Self {
            child,
            answers,
            asked: 0,
            session: None,
            _profile: profile,
        };
        let Some(target) = browser.try_ask("Target.createTarget", &json!({"url": "about:blank"})) else {
            assert_eq!(
                browser.child.wait().unwrap().code(),
                Some(127),
                "chromium broke off"
            );
            assert!(std::env::var_os("CI").is_none(), "chromium is not installed");
            eprintln!("left out: chromium is not installed");
            return None;
        };
        let attached = browser.ask(
            "Target.attachToTarget",
            &json!({"targetId": target["targetId"], "flatten": true}),
        );
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        browser.ask("Page.enable", &json!({}));
        Some(browser)
    }

    /// `None` when the browser has gone.
    fn try_ask(&mut self, method: &str, parameters: &Value) -> Option<Value> {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let stdin = self.child.stdin.as_mut().unwrap();
        let text = message.to_string() + "\0";
        // One that has gone has closed its answers, too.
        let _ = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush());
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .answers
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(answer) if answer["id"] == self.asked => {
                    assert!(answer["error"].is_null(), "{method}: {answer}");
                    return Some(answer["result"].clone());
                }
                // Events of pages.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("{method}: the browser hangs"),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.try_ask(method, parameters)
            .unwrap_or_else(|| panic!("{method}: the browser has gone"))
    }

    /// Sets how wide people's screens are, and whether they like it dark.
    pub fn look(&mut self, width: u32, height: u32, dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.ask("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.ask("Emulation.setEmulatedMedia", &features);
    }

    /// Opens a page and waits until all of it is there.
    pub fn open(&mut self, url: &str) {
        self.ask("Page.navigate", &json!({"url": url}));
        self.wait_for(&format!(
            "document.readyState === 'complete' && location.href === {}",
            json!(url)
        ));
    }

    /// Waits until an expression is true.
    pub fn wait_for(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.evaluate(expression) != true {
            assert!(Instant::now() < deadline, "never: {expression}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", &parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Presses and lets go of a key.
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            other => panic!("what is the code of {other}?"),
        };
        let mut parameters =
            json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code});
        if !text.is_empty() {
            parameters["text"] = text.into();
        }
        self.ask("Input.dispatchKeyEvent", &parameters);
        parameters["type"] = "keyUp".into();
        self.ask("Input.dispatchKeyEvent", &parameters);
    }

    /// The whole page as a PNG in base64.
    pub fn picture(&mut self) -> String {
        let parameters = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.ask("Page.captureScreenshot", &parameters);
        answer["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
