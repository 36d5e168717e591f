//! `BEADLINE_LOG=debug`: a line on stderr for each program that was run and each request that was
//! sent. No arguments, headers or texts: they may hold secrets.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Instant;

use crate::text::harmless;

/// What begins each line; `None`: nothing is asked for.
static PREFIX: LazyLock<Option<String>> = LazyLock::new(|| {
    let is_wanted = env::var_os("BEADLINE_LOG").is_some_and(|level| level == "debug");
    let program = env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    is_wanted.then(|| format!("{}: debug", name.display()))
});

/// Something that runs; its line is written when this is dropped.
#[derive(Debug)]
pub struct Running(Option<(String, Instant, String)>);

/// A program begins, with this verb, in this folder.
#[must_use]
pub fn program(name: &str, verb: &str, dir: &Path) -> Running {
    Running::new(|| format!("{name} {verb} in '{}'", dir.display()))
}

/// A request is sent.
#[must_use]
pub fn request(method: &str, path: &str) -> Running {
    Running::new(|| format!("{method} {path}"))
}

impl Running {
    fn new(what: impl FnOnce() -> String) -> Self {
        let running = || (what(), Instant::now(), "no end".to_owned());
        Self(PREFIX.is_some().then(running))
    }

    /// How the program ended; none: by a signal.
    pub fn exited(&mut self, code: Option<i32>) {
        self.ended(|| code.map_or_else(|| "killed".to_owned(), |code| format!("exit {code}")));
    }

    /// What the request was answered with.
    pub fn answered(&mut self, status: u16) {
        self.ended(|| status.to_string());
    }

    fn ended(&mut self, how: impl FnOnce() -> String) {
        if let Some((_, _, end)) = &mut self.0 {
            *end = how();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let (Some(prefix), Some((what, since, end))) = (PREFIX.as_ref(), &self.0) {
            let took = since.elapsed().as_millis();
            let line = format!("{prefix}: {}: {end}, {took} ms\n", harmless(what));
            let _ = io::stderr().lock().write_all(line.as_bytes());
        }
    }
}
