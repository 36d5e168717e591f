//! A request to the double, read off its connection.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use serde_json::Value;

/// A request.
pub(super) struct Request {
    pub(super) verb: String,
    pub(super) target: String,
    pub(super) head: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// `None`: the client has gone.
    pub(super) fn read(client: &TcpStream) -> std::io::Result<Option<Self>> {
        let mut reader = BufReader::new(client);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut first = lines
            .remove(0)
            .split(' ')
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let target = first.swap_remove(1);
        let mut request = Self {
            verb: first.swap_remove(0),
            target,
            head: lines,
            body: Vec::new(),
        };
        let length = request.value("content-length:").unwrap_or_default();
        request.body.resize(length.parse().unwrap_or_default(), 0);
        reader.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        let named = |line: &&String| line.to_ascii_lowercase().starts_with(name);
        let line = self.head.iter().find(named)?;
        Some(line[name.len()..].trim().to_owned())
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(super) fn host(&self) -> String {
        self.value("host:").unwrap()
    }

    pub(super) fn asked(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| *key == name)?.1;
        Some(found.replace("%3A", ":").replace("%2F", "/"))
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
