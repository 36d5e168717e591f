//! A server on the loopback interface that says what a function answers; one request a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A request.
pub(super) struct Request {
    pub(super) verb: String,
    /// Path and query.
    pub(super) target: String,
    /// The lines of its head, after the first.
    pub(super) head: Vec<String>,
    pub(super) body: String,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names and values, but for the body's length.
    pub(super) head: Vec<(String, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// `None`: the client has gone.
    fn read(client: &TcpStream) -> std::io::Result<Option<Self>> {
        let mut reader = BufReader::new(client);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let first = head.remove(0);
        let mut words = first.split(' ').map(str::to_owned);
        Ok(Some(Self {
            verb: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            head,
            body: String::from_utf8(body).unwrap(),
        }))
    }
}

impl Answer {
    fn write(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let mut text = format!("HTTP/1.1 {} So\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.head {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if !matches!(self.status, 204 | 304) {
            text.extend(["Content-Length: ", &self.body.len().to_string(), "\r\n"]);
        }
        write!(client, "{text}\r\n{}", self.body)
    }
}

/// Starts a server whose thread ends with the tests; returns its port. The function is given that, too.
pub(super) fn serve(answer: impl Fn(&Request, u16) -> Answer + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                // What a client breaks off is no news.
                let request = Request::read(&client).ok().flatten();
                request.map(|request| answer(&request, port).write(&client))
            });
        }
    });
    port
}
