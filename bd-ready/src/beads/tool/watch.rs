//! Waiting until a file changed, without reading it: Beads above all.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::Context;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::tool::Tool;

/// A watch on a file: the one that changes with Beads on this machine, if there is one. Without it
/// nothing is lost but time: a wait ends when it is over.
#[derive(Debug)]
pub struct Watch {
    changes: Receiver<()>,
    _watcher: Option<RecommendedWatcher>,
    /// Keeps the channel open where there is no file to watch.
    _sender: Sender<()>,
}

impl Watch {
    /// Starts watching Beads: a change after this call is not missed.
    #[must_use]
    pub fn start(tool: &Tool) -> Self {
        match tool.store.watched() {
            Some(file) => Self::on(tool, &file),
            None => Self::without(),
        }
    }

    /// Starts watching one file. The kernel has only so many watches, which others may have used
    /// up: it is said, and the file is looked at when a wait is over.
    #[must_use]
    pub fn on(tool: &Tool, file: &Path) -> Self {
        Self::watching(file).unwrap_or_else(|err| {
            let what = format!("looking again and again, as nothing tells of changes: {err:#}");
            tool.pipe.remark(&what);
            Self::without()
        })
    }

    fn without() -> Self {
        let (sender, changes) = mpsc::channel();
        Self {
            changes,
            _watcher: None,
            _sender: sender,
        }
    }

    fn watching(file: &Path) -> anyhow::Result<Self> {
        let (sender, changes) = mpsc::channel();
        let file = file.to_owned();
        let dir = file.parent().context("a file has a folder")?.to_owned();
        let cannot = || format!("cannot watch '{}'", dir.display());
        let events = sender.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let ours = event.is_ok_and(|event| {
                    !matches!(event.kind, EventKind::Access(_)) && event.paths.contains(&file)
                });
                if ours {
                    let _ = events.send(());
                }
            })
            .with_context(cannot)?;
        // The folder, as every write puts a new file in its place.
        watcher
            .watch(&dir, RecursiveMode::NonRecursive)
            .with_context(cannot)?;
        Ok(Self {
            changes,
            _watcher: Some(watcher),
            _sender: sender,
        })
    }

    /// Waits for a change, at most this long. Changes since the last call count as one. `false`:
    /// there was none.
    #[must_use]
    pub fn wait(&self, longest: Duration) -> bool {
        match self.changes.recv_timeout(longest) {
            Ok(()) => {
                while self.changes.try_recv().is_ok() {}
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
}
