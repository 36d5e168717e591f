//! Stages on the real Beads: an embedded database, or one on a Dolt server of the test's own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use libtest_mimic::Trial;
use serde_json::Value;
use tempfile::TempDir;

use super::programs::{command, path, test_with};
use super::{Ran, Stage, until};

/// A test that needs `bd` and Dolt; ignored where they are missing.
pub(crate) fn test_with_bd(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    test_with("bd", "tests/parts.sh", name, run)
}

/// An empty embedded database, made once: to make one takes seconds, to copy it a moment.
static EMPTY: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = scratch();
    run(
        dir.path(),
        "git init --quiet -b main . && bd init --prefix t --non-interactive --skip-agents --skip-hooks --stealth --quiet",
    );
    dir
});

fn scratch() -> TempDir {
    tempfile::Builder::new()
        .prefix("beadline-test-")
        .tempdir()
        .unwrap()
}

fn bash(dir: &Path, script: &str) -> Command {
    let mut bash = command("bash");
    bash.args(["-euo", "pipefail", "-c", script])
        .current_dir(dir)
        .env_clear()
        .env("PATH", path())
        .env("HOME", dir)
        .env("DO_NOT_TRACK", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null());
    bash
}

fn run(dir: &Path, script: &str) {
    let ran = bash(dir, script).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{script}\n{said}");
}

/// A Dolt SQL server on a free port, with a folder of its own.
pub(crate) struct Dolt {
    dir: TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Dolt {
    pub(crate) fn start() -> Self {
        let dir = scratch();
        run(
            dir.path(),
            "dolt config --global --add user.name Tester > /dev/null
             dolt config --global --add user.email t@example.invalid > /dev/null
             mkdir data && cd data && dolt init > /dev/null",
        );
        let port = free_port();
        let mut dolt = Self {
            dir,
            port,
            child: None,
        };
        dolt.go_on();
        dolt
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, on the same port and data.
    pub(crate) fn go_on(&mut self) {
        let script = format!("exec dolt sql-server --host 127.0.0.1 --port {}", self.port);
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let child = bash(&self.dir.path().join("data"), &script)
            .env("HOME", self.dir.path())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let port = self.port;
        until("the Dolt server answers", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// Runs SQL on a database of the server.
    pub(crate) fn sql(&self, database: &str, query: &str) {
        let port = self.port;
        let script = format!(
            "dolt --host 127.0.0.1 --port {port} --user root --password '' --no-tls --use-db {database} sql -q \"$1\""
        );
        let ran = bash(self.dir.path(), &script)
            .env("HOME", self.dir.path())
            .args(["sql", query])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{query}\n{said}");
    }
}

impl Drop for Dolt {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Stage {
    /// A repository as [`Stage::new`] makes it, on an embedded database with these beads.
    pub(crate) fn on_bd(beads: &[Value]) -> Self {
        let mut stage = Self::new(&[]);
        stage.embed("work");
        stage.bd = true;
        stage.import(beads);
        stage
    }

    /// From here on its beads are those of the database that `bd` made.
    pub(crate) fn on_its_bd(&mut self) {
        self.bd = true;
    }

    /// Puts an empty embedded database into a clone of the stage.
    pub(crate) fn embed(&self, clone: &str) {
        let to = self.path(clone).join(".beads");
        let _ = fs::remove_dir_all(&to);
        copy(&EMPTY.path().join(".beads"), &to);
    }

    /// A repository as [`Stage::new`] makes it, its beads on a server.
    pub(crate) fn on_server(dolt: &Dolt, beads: &[Value]) -> Self {
        let mut stage = Self::new(&[]);
        fs::remove_dir_all(stage.path("work/.beads")).unwrap();
        stage.bd = true;
        stage
            .sh(&format!(
                "bd init --server --server-host 127.0.0.1 --server-port {} --prefix t --non-interactive --skip-agents --skip-hooks --stealth --quiet",
                dolt.port
            ))
            .ok();
        stage.import(beads);
        stage
    }

    /// Another machine of the line: a clone and a home of its own, the same remote and server.
    pub(crate) fn joining(first: &Self) -> Self {
        let mut stage = Self::bare();
        symlink(first.path("remote.git"), stage.path("remote.git")).unwrap();
        stage.sh_in("", "git clone --quiet remote.git work").ok();
        copy(&first.path("work/.beads"), &stage.path("work/.beads"));
        stage.bd = true;
        stage
    }

    /// Sets the lease and the last write of a bead back by an hour.
    pub(crate) fn age(&self, dolt: &Dolt, id: &str) {
        let metadata: Value =
            serde_json::from_str(&self.read("work/.beads/metadata.json")).unwrap();
        let back = |table: &str, time: &str, key: &str| {
            format!(
                "UPDATE {table} SET {time} = DATE_SUB({time}, INTERVAL 1 HOUR) WHERE {key} = '{id}'"
            )
        };
        let leases = back("leases", "lease_expires_at", "issue_id");
        let issues = back("issues", "updated_at", "id");
        let database = metadata["dolt_database"].as_str().unwrap();
        dolt.sql(database, &format!("{leases}; {issues}"));
    }

    /// Adds beads to the database.
    pub(crate) fn import(&self, beads: &[Value]) {
        if beads.is_empty() {
            return;
        }
        let lines: Vec<String> = beads.iter().map(Value::to_string).collect();
        self.feed("bd import -", &(lines.join("\n") + "\n")).ok();
    }

    /// All beads as `bd` lists them.
    pub(super) fn listed(&self) -> Vec<Value> {
        let ran: Ran = self
            .sh("bd list --all --limit 0 --include-gates --include-infra --include-templates --json")
            .ok();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.all()))
    }
}

fn copy(from: &Path, to: &Path) {
    let ran = command("cp").arg("-R").args([from, to]).status().unwrap();
    assert!(ran.success());
}

pub(crate) fn trials() -> Vec<Trial> {
    let merged = |stage: &mut Stage| {
        stage.simple();
        stage.just("orchestrate").ok();
        let bead = stage.bead("t-1");
        assert_eq!(bead["status"], "closed");
        assert_eq!(bead["metadata"]["phase"], "merged");
        stage.assert_clean();
    };
    vec![
        test_with_bd(
            "bd: one bead from ready to merged, on an embedded database",
            move || merged(&mut Stage::on_bd(&[super::task("t-1")])),
        ),
        test_with_bd(
            "bd: one bead from ready to merged, on a server",
            move || {
                let dolt = Dolt::start();
                merged(&mut Stage::on_server(&dolt, &[super::task("t-1")]));
            },
        ),
    ]
}
