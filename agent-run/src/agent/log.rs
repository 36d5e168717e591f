//! An agent's log, bounded: of a flood the head and the tail are kept.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The size at which a log is cut.
const LONGEST: u64 = 8 << 20;

/// What is kept of its beginning and of its end.
const HEAD: u64 = 1 << 20;
const TAIL: u64 = 3 << 20;

/// A log that is being written.
#[derive(Debug)]
pub struct Log {
    file: File,
    len: u64,
}

impl Log {
    /// A new, empty log.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(path)?;
        Ok(Self { file, len: 0 })
    }

    /// Adds to the log, and cuts its middle when it has grown too long.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        if self.len > LONGEST {
            self.cut()?;
        }
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        let mut tail = Vec::new();
        self.file.seek(SeekFrom::Start(self.len - TAIL))?;
        (&self.file).take(TAIL).read_to_end(&mut tail)?;
        let gap = format!("\n[beadline: {} bytes left out]\n", self.len - HEAD - TAIL);
        self.file.set_len(HEAD)?;
        self.file.seek(SeekFrom::Start(HEAD))?;
        self.file.write_all(gap.as_bytes())?;
        self.file.write_all(&tail)?;
        self.len = HEAD + (gap.len() + tail.len()) as u64;
        Ok(())
    }
}
