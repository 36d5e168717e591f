//! A gateway between the programs and the server: it counts, and loses on demand what real networks
//! lose. One request a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// No answer, and the server never saw it.
    SilentBefore,
    /// No answer, though the server has done it.
    SilentAfter,
    /// A gateway's page, and the server never saw it.
    BadGateway,
    /// The server is said to be busy.
    Unavailable,
    /// The connection breaks once the server has done it.
    Reset,
    /// Half of the answer.
    Truncated,
    /// The server has trouble of its own.
    Trouble,
    /// An answer that is none, and the server never saw it.
    Garbage,
    /// An error inside an answer that says all is well.
    ErrorInside,
    /// Too many requests: later.
    RateLimit,
    /// Off to another server.
    Elsewhere,
}

const JSON: &str = "Content-Type: application/json\r\n";

/// The next so many requests that fit go wrong.
struct Rule {
    verb: &'static str,
    path: &'static str,
    fault: Fault,
    times: usize,
}

/// The gateway; its thread ends with the tests.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    upstream: String,
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Vec<String>>,
}

struct Request {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Proxy {
    /// A gateway to the server at `upstream`.
    pub(crate) fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            upstream: upstream.to_owned(),
            ..State::default()
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // What a client breaks off is no news.
                thread::spawn(move || drop(state.serve(&client)));
            }
        });
        Self { port, state }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The next request of this verb whose path has this part goes wrong.
    pub(crate) fn lose(&self, verb: &'static str, path: &'static str, fault: Fault) {
        self.lose_next(1, verb, path, fault);
    }

    /// All requests of this verb whose path has this part go wrong.
    pub(crate) fn lose_all(&self, verb: &'static str, path: &'static str, fault: Fault) {
        self.lose_next(usize::MAX, verb, path, fault);
    }

    fn lose_next(&self, times: usize, verb: &'static str, path: &'static str, fault: Fault) {
        let mut rules = self
            .state
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rules.push(Rule {
            verb,
            path,
            fault,
            times,
        });
    }

    /// From here on nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        let mut rules = self
            .state
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rules.clear();
    }

    /// Whether all that was to go wrong has.
    pub(crate) fn is_done(&self) -> bool {
        let rules = self
            .state
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rules.iter().all(|rule| rule.times == 0)
    }

    /// What was asked, as `VERB PATH`.
    pub(crate) fn log(&self) -> Vec<String> {
        let log = self
            .state
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }
}

impl State {
    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let Some(request) = Request::read(client)? else {
            return Ok(());
        };
        let line = request.head[0].trim_end_matches(" HTTP/1.1").to_owned();
        let fault = self.fault(&line);
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        let said = |status: &str, more: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n{body}",
                body.len()
            )
        };
        let early = match fault {
            Some(Fault::SilentBefore) => return until_gone(client),
            Some(Fault::BadGateway) => said(
                "502 Bad Gateway",
                "Content-Type: text/html\r\n",
                "<html>oops</html>",
            ),
            Some(Fault::Garbage) => said("200 OK", JSON, "{\"data\":{\"repository\":"),
            Some(Fault::ErrorInside) => said(
                "200 OK",
                JSON,
                "{\"data\":null,\"errors\":[{\"message\":\"Something went wrong\"}]}",
            ),
            Some(Fault::Trouble) => said("500 Internal Server Error", JSON, "{\"message\":\"\"}"),
            Some(Fault::Unavailable) => said("503 Service Unavailable", "", "busy"),
            Some(Fault::RateLimit) => said(
                "429 Too Many Requests",
                "Retry-After: 1\r\n",
                "{\"message\":\"slow down\"}",
            ),
            Some(Fault::Elsewhere) => said(
                "301 Moved Permanently",
                "Location: http://127.0.0.2:9/api/v1/user\r\n",
                "",
            ),
            _ => String::new(),
        };
        if !early.is_empty() {
            return client.write_all(early.as_bytes());
        }
        let answer = request.ask(&self.upstream)?;
        match fault {
            Some(Fault::SilentAfter) => return until_gone(client),
            Some(Fault::Reset) => return client.shutdown(Shutdown::Both),
            // Of an answer without a body half of the head.
            Some(Fault::Truncated) => {
                client.write_all(&answer[..answer.len() - answer.len() / 4])?;
            }
            _ => client.write_all(&answer)?,
        }
        client.shutdown(Shutdown::Write)
    }

    fn fault(&self, line: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |rule: &&mut Rule| {
            let path = line.strip_prefix(rule.verb).unwrap_or_default();
            rule.times > 0 && path.contains(rule.path)
        };
        let rule = rules.iter_mut().find(fits)?;
        rule.times -= 1;
        Some(rule.fault)
    }
}

/// Says nothing until the client gives up.
fn until_gone(mut client: &TcpStream) -> std::io::Result<()> {
    client.read_to_end(&mut Vec::new()).map(drop)
}

impl Request {
    fn read(client: &TcpStream) -> std::io::Result<Option<Self>> {
        let mut reader = BufReader::new(client);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let value = |name: &str| {
            let line = head
                .iter()
                .find(|line| line.to_ascii_lowercase().starts_with(name))?;
            Some(line[name.len()..].trim().to_ascii_lowercase())
        };
        if value("expect:").is_some() {
            let mut client = client;
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = Vec::new();
        if value("transfer-encoding:").is_some() {
            read_chunks(&mut reader, &mut body)?;
        } else if let Some(length) = value("content-length:") {
            body.resize(length.parse().unwrap(), 0);
            reader.read_exact(&mut body)?;
        }
        Ok(Some(Self { head, body }))
    }

    fn ask(&self, upstream: &str) -> std::io::Result<Vec<u8>> {
        let dropped = [
            "connection:",
            "content-length:",
            "transfer-encoding:",
            "expect:",
        ];
        let mut head = String::new();
        for line in &self.head {
            let lower = line.to_ascii_lowercase();
            if !dropped.iter().any(|name| lower.starts_with(name)) {
                head += line;
                head += "\r\n";
            }
        }
        let mut server = TcpStream::connect(upstream)?;
        let length = self.body.len();
        write!(
            server,
            "{head}Connection: close\r\nContent-Length: {length}\r\n\r\n"
        )?;
        server.write_all(&self.body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// Chunked transfer coding (RFC 9112, section 7.1).
fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(());
        }
    }
}
