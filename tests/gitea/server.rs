//! A Gitea of the tests' own: `SQLite`, on a free port of the loopback interface, with users that are
//! no admins (an admin may do everything, which hides what a token lacks).

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::stage::{command, parts, path, until};

/// Its version, as `tests/parts.sh` installs it.
pub(super) const FOLDER: &str = "gitea-1.26.0";

/// Opens pull requests and lands them.
pub(super) const OWNER: &str = "owner";
/// May write, and reviews.
pub(super) const REVIEWER: &str = "reviewer";
/// May only read.
pub(super) const READER: &str = "reader";

/// A server, ended by [`Server::end`] and by the end of the tests, even if they are killed.
pub(super) struct Server {
    dir: TempDir,
    port: u16,
    running: Mutex<Option<Child>>,
}

/// The one of this run of the tests; each test has a repository of its own on it.
pub(super) static SERVER: LazyLock<Server> = LazyLock::new(Server::new);

impl Server {
    /// A new one, with its users, started.
    pub(super) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("beadline-gitea-")
            .tempdir()
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let server = Self {
            dir,
            port,
            running: Mutex::new(None),
        };
        server.configure();
        server.admin(&["migrate"]);
        for user in [OWNER, REVIEWER, READER] {
            let (email, password) = (format!("{user}@x.invalid"), format!("pw-{user}-12345"));
            server.admin(&[
                "admin",
                "user",
                "create",
                "--username",
                user,
                "--email",
                &email,
                "--password",
                &password,
                "--must-change-password=false",
            ]);
            let token = server.generate_token(user, "all", "all");
            fs::write(server.path(user), token).unwrap();
        }
        server.start();
        server
    }

    fn configure(&self) {
        let root = parts().join(FOLDER);
        let (dir, port) = (self.dir.path().display(), self.port);
        let user = command("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let user = user.trim();
        let text = format!(
            "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\nRUN_MODE = prod\nRUN_USER = {user}\nWORK_PATH = {dir}\n\
             [server]\nSTATIC_ROOT_PATH = {root}\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {port}\n\
             ROOT_URL = http://127.0.0.1:{port}/\nOFFLINE_MODE = true\nDISABLE_SSH = true\n\
             [database]\nDB_TYPE = sqlite3\nPATH = {dir}/gitea.db\nSQLITE_JOURNAL_MODE = WAL\n\
             [security]\nINSTALL_LOCK = true\n[repository]\nROOT = {dir}/repositories\n\
             [log]\nLEVEL = warn\nROOT_PATH = {dir}/log\n[cron]\nENABLED = false\n[update_checker]\nENABLED = false\n\
             [service]\nDISABLE_REGISTRATION = true\n[actions]\nENABLED = false\n[indexer]\nISSUE_INDEXER_TYPE = db\n",
            root = root.display(),
        );
        fs::write(self.path("app.ini"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn gitea(&self) -> Command {
        let mut gitea = command(parts().join(FOLDER).join("gitea").to_str().unwrap());
        // It runs `git config --global`: never on a file that a variable of ours names.
        gitea.env_clear();
        gitea.env("PATH", path());
        gitea.env("GITEA_WORK_DIR", self.dir.path());
        gitea.env("HOME", self.dir.path());
        gitea.args(["--config", self.path("app.ini").to_str().unwrap()]);
        gitea
    }

    fn admin(&self, args: &[&str]) -> String {
        let ran = self.gitea().args(args).output().unwrap();
        assert!(
            ran.status.success(),
            "gitea {args:?}\n{}\n{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        String::from_utf8(ran.stdout).unwrap()
    }

    /// A token of a user with these scopes.
    pub(super) fn generate_token(&self, user: &str, name: &str, scopes: &str) -> String {
        let said = self.admin(&[
            "admin",
            "user",
            "generate-access-token",
            "--username",
            user,
            "--token-name",
            name,
            "--scopes",
            scopes,
            "--raw",
        ]);
        // Lines of its log may come beside it.
        let is_token =
            |line: &&str| line.len() == 40 && line.bytes().all(|b| b.is_ascii_hexdigit());
        said.lines().find(is_token).expect(&said).to_owned()
    }

    /// A user's token.
    pub(super) fn token(&self, user: &str) -> String {
        fs::read_to_string(self.path(user)).unwrap()
    }

    /// Where it listens, once it is started.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn start(&self) {
        // Its stdin ends with us, however that is: then the server is ended, too.
        let mut shell = command("bash");
        let gitea = self.gitea();
        let child = shell
            .args([
                "-c",
                "\"$@\" < /dev/null & cat > /dev/null; kill $!; wait $!",
                "-",
            ])
            .arg(gitea.get_program())
            .args(gitea.get_args())
            .arg("web")
            .env_clear()
            .envs(
                gitea
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::piped())
            .stdout(fs::File::create(self.path("web.log")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        until("gitea answers", || self.is_up());
    }

    pub(super) fn stop(&self) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut child) = running {
            if let Some(mut stdin) = child.stdin.take() {
                let _ = stdin.flush();
            }
            let _ = child.wait();
        }
    }

    /// Stops it for good, and removes what it has on disk.
    pub(super) fn end(&self) {
        self.stop();
        let _ = fs::remove_dir_all(self.dir.path());
    }

    fn is_up(&self) -> bool {
        ureq::get(format!("http://{}/api/v1/version", self.host()))
            .call()
            .is_ok()
    }

    /// Asks the API as a user: status, and the answer as JSON (null if it is none).
    pub(super) fn ask(
        &self,
        user: &str,
        verb: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .method(verb)
            .uri(format!("http://{}/api/v1{path}", self.host()))
            .header("Authorization", format!("token {}", self.token(user)))
            .header("Content-Type", "application/json");
        let mut answer = match body {
            Some(body) => agent.run(request.body(body.to_string()).unwrap()),
            None => agent.run(request.body(()).unwrap()),
        }
        .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_str(&text).unwrap_or_default(),
        )
    }
}

/// Whether `tests/parts.sh` has installed it, as a name below the folder of the parts.
pub(super) fn part() -> &'static Path {
    Path::new("../gitea-1.26.0/gitea")
}

/// Stops the server of this run, if one was started.
pub(crate) fn stop() {
    if let Some(server) = LazyLock::get(&SERVER) {
        server.end();
    }
}
