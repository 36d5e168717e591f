//! Waiting until Beads changed, without reading it.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::Context;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::store::Store;

/// A watch on the file that changes with Beads on this machine, if there is one.
#[derive(Debug)]
pub struct Watch {
    changes: Receiver<()>,
    _watcher: Option<RecommendedWatcher>,
    /// Keeps the channel open where there is no file to watch.
    _sender: Sender<()>,
}

impl Watch {
    /// Starts watching: a change after this call is not missed.
    ///
    /// # Errors
    /// When the kernel gives no watch.
    pub fn start(store: &dyn Store) -> anyhow::Result<Self> {
        let (sender, changes) = mpsc::channel();
        let Some(file) = store.watched() else {
            return Ok(Self {
                changes,
                _watcher: None,
                _sender: sender,
            });
        };
        let dir = file.parent().context("a file has a folder")?.to_owned();
        let events = sender.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let ours = event.is_ok_and(|event| {
                    !matches!(event.kind, EventKind::Access(_)) && event.paths.contains(&file)
                });
                if ours {
                    let _ = events.send(());
                }
            })?;
        // The folder, as every write puts a new file in its place.
        watcher
            .watch(&dir, RecursiveMode::NonRecursive)
            .with_context(|| format!("cannot watch '{}'", dir.display()))?;
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
