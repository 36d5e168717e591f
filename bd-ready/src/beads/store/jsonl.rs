//! The embedded store: `.beads/issues.jsonl`, in the form of `bd export`.
//!
//! Every write rewrites the whole file under a lock on its folder: temporary file, fsync, rename.
//! Lines that are not written keep their bytes. A line that cannot be read stops every write.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::clone::lock::{self, Lock};
use crate::graph::Graph;
use crate::record::bead::Bead;
use crate::record::change::{Change, Guard};
use crate::record::create::{New, Revision};
use crate::store::id;
use crate::store::{Reach, Store};
use crate::time::now;

/// The store in one file.
#[derive(Debug)]
pub(crate) struct Jsonl {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<Vec<Bead>>)>>,
}

/// Names one state of the file: every write makes a new inode.
type Stamp = (u64, i64, i64, u64);

impl Jsonl {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::new(None),
        }
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn unreadable(&self) -> String {
        format!("cannot read '{}'", self.path.display())
    }

    /// Line by line: the text is never in memory beside the beads.
    fn load(&self) -> anyhow::Result<(Vec<Bead>, Stamp)> {
        let file = File::open(&self.path)?;
        let stamp = stamp(&file.metadata()?);
        let beads = parse(BufReader::new(file).lines())?;
        Ok((beads.into_iter().flatten().collect(), stamp))
    }

    /// Puts the lines in the file's place, if that is still as it was `read`.
    fn replace(&self, lines: &[&str], read: Stamp) -> io::Result<bool> {
        let new = self.dir().join(".issues.jsonl.new");
        // A writer that was killed may have left it; it is ours alone under the lock.
        match fs::remove_file(&new) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        let replaced = self.write(&new, lines).and_then(|()| {
            let same = self.stamp()? == read;
            if same {
                fs::rename(&new, &self.path)?;
            }
            Ok(same)
        });
        if !matches!(replaced, Ok(true)) {
            // A disk that is full is not to be filled further.
            let _ = fs::remove_file(&new);
            return replaced;
        }
        File::open(self.dir())?.sync_all()?;
        Ok(true)
    }

    fn write(&self, new: &Path, lines: &[&str]) -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).open(new)?;
        file.set_permissions(fs::metadata(&self.path)?.permissions())?;
        file.write_all(lines.concat().as_bytes())?;
        file.sync_all()
    }

    /// One write: `change` says which line it is, the one after the last for a new one, and what
    /// stands there then. Returns that bead; `None` when there is nothing to write.
    fn rewrite(
        &self,
        change: impl Fn(&[Option<Bead>]) -> anyhow::Result<Option<(usize, Bead)>>,
    ) -> anyhow::Result<Option<Bead>> {
        let _lock = lock::take_dir(self.dir())
            .with_context(|| format!("cannot lock '{}'", self.dir().display()))?;
        // Programs respect the lock. A person's editor or `>>` does not, and what that wrote since
        // we read is not to be lost: then it is done again.
        loop {
            let read = self.stamp().with_context(|| self.unreadable())?;
            let text = fs::read_to_string(&self.path).with_context(|| self.unreadable())?;
            let beads =
                parse(text.split_inclusive('\n').map(Ok)).with_context(|| self.unreadable())?;
            let Some((at, bead)) = change(&beads)? else {
                return Ok(None);
            };
            let line = format!("{}\n", bead.line());
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            match lines.get_mut(at) {
                Some(there) => *there = &line,
                // The last line that a person wrote may lack its end.
                None if text.is_empty() || text.ends_with('\n') => lines.push(&line),
                None => lines.extend(["\n", &line]),
            }
            let replaced = self
                .replace(&lines, read)
                .with_context(|| format!("cannot write '{}'", self.path.display()))?;
            if replaced {
                return Ok(Some(bead));
            }
        }
    }

    fn stamp(&self) -> io::Result<Stamp> {
        Ok(stamp(&fs::metadata(&self.path)?))
    }
}

impl Store for Jsonl {
    fn ready(&self) -> anyhow::Result<Vec<String>> {
        let beads = self.list()?;
        Ok(Graph::of(&beads)
            .ready(now())
            .iter()
            .map(|bead| bead.id().to_owned())
            .collect())
    }

    fn list(&self) -> anyhow::Result<Arc<Vec<Bead>>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.stamp().ok();
        if let Some((stamp, beads)) = &*read
            && current == Some(*stamp)
        {
            return Ok(Arc::clone(beads));
        }
        let (beads, stamp) = self.load().with_context(|| self.unreadable())?;
        let beads = Arc::new(beads);
        *read = Some((stamp, Arc::clone(&beads)));
        Ok(beads)
    }

    fn show(&self, id: &str) -> anyhow::Result<Option<Bead>> {
        Ok(self.list()?.iter().find(|bead| bead.id() == id).cloned())
    }

    fn record(
        &self,
        id: &str,
        guard: &Guard,
        change: &Change,
        _: Option<&Lock>,
    ) -> anyhow::Result<Option<Bead>> {
        self.rewrite(|beads| {
            let Some((at, bead)) = position(beads, id) else {
                return Ok(None);
            };
            match guard.holds(bead) {
                true => Ok(Some((at, bead.with(change, now())?))),
                false => Ok(None),
            }
        })
    }

    fn create(&self, new: &New, _: Option<&Lock>) -> anyhow::Result<Bead> {
        new.check()?;
        let created = self.rewrite(|beads| {
            let read: Vec<Bead> = beads.iter().flatten().cloned().collect();
            let id = match (&new.id, &new.parent) {
                (Some(id), _) => id.clone(),
                (None, Some(parent)) => id::child(&read, parent),
                (None, None) => id::root(&read, self.dir().parent().unwrap_or(self.dir()))?,
            };
            ensure!(position(beads, &id).is_none(), "'{id}' is there already");
            let on = new.edges.iter().map(|(on, _)| on).chain(&new.parent);
            for on in on {
                ensure!(position(beads, on).is_some(), "there is no bead '{on}'");
            }
            Ok(Some((beads.len(), new.bead(&id, now())?)))
        })?;
        created.context("nothing was created")
    }

    fn revise(&self, id: &str, revision: &Revision) -> anyhow::Result<Bead> {
        let revised = self.rewrite(|beads| {
            let Some((at, bead)) = position(beads, id) else {
                return Ok(None);
            };
            for on in revision.block.iter().chain(&revision.parent) {
                ensure!(position(beads, on).is_some(), "there is no bead '{on}'");
                ensure!(!depends(beads, on, id), "'{on}' depends on it");
            }
            Ok(Some((at, bead.revised(revision, now())?)))
        })?;
        revised.context("no such bead")
    }

    fn renew(&self, id: &str, token: &str) -> anyhow::Result<bool> {
        Ok(self.show(id)?.is_some_and(|bead| bead.assignee() == token))
    }

    fn watched(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    fn reach(&self) -> Reach {
        Reach::File
    }
}

/// The bead with this id, and its line, counted from 0.
fn position<'a>(beads: &'a [Option<Bead>], id: &str) -> Option<(usize, &'a Bead)> {
    let mut there = beads.iter().enumerate();
    there.find_map(|(at, bead)| Some((at, bead.as_ref().filter(|bead| bead.id() == id)?)))
}

/// Whether `id` is `on`, or depends on it in any number of steps.
fn depends(beads: &[Option<Bead>], id: &str, on: &str) -> bool {
    let beads: HashMap<&str, &Bead> = beads
        .iter()
        .flatten()
        .map(|bead| (bead.id(), bead))
        .collect();
    let (mut open, mut seen) = (vec![id], HashSet::new());
    while let Some(id) = open.pop() {
        if id == on {
            return true;
        }
        if seen.insert(id) {
            let edges = beads.get(id).map_or(&[][..], |bead| bead.dependencies());
            open.extend(edges.iter().map(|edge| edge.depends_on_id.as_str()));
        }
    }
    false
}

/// What every row of an export says of itself.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "_type", default)]
    kind: String,
}

/// One entry a line: the bead there, or `None` for a blank line and for an export's other records.
fn parse<L: AsRef<str>>(
    lines: impl Iterator<Item = io::Result<L>>,
) -> anyhow::Result<Vec<Option<Bead>>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut beads = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let line = line?;
        let line = line.as_ref();
        if line.trim().is_empty() {
            beads.push(None);
            continue;
        }
        let bead = Bead::parse(line);
        if bead.is_err()
            && let Ok(Kind { kind }) = serde_json::from_str(line)
            && !matches!(kind.as_str(), "" | "issue")
        {
            beads.push(None);
            continue;
        }
        let bead = bead.with_context(|| format!("line {number}"))?;
        if let Some(first) = seen.insert(bead.id().to_owned(), number) {
            bail!(
                "line {number}: '{}' stands in line {first} already",
                bead.id()
            );
        }
        beads.push(Some(bead));
    }
    Ok(beads)
}

fn stamp(meta: &fs::Metadata) -> Stamp {
    (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let refused =
            |text: &str| format!("{:#}", parse(text.lines().map(Ok)).expect_err("refused"));
        assert!(refused("{\"id\":\"a\"}\n<<<<<<< HEAD\n").starts_with("line 2: not a bead"));
        assert_eq!(
            refused("{\"id\":\"a\"}\n\n{\"id\":\"a\"}"),
            "line 3: 'a' stands in line 1 already"
        );
    }

    #[test]
    fn other_records_of_an_export_are_kept_and_not_read() {
        let text = "{\"_type\":\"memory\",\"key\":\"k\"}\n\r\n{\"_type\":\"issue\",\"id\":\"a\"}";
        let beads = parse(text.lines().map(Ok)).expect("readable");
        assert_eq!(
            beads.iter().map(Option::is_some).collect::<Vec<_>>(),
            [false, false, true]
        );
    }
}
