//! What a command prints: read as it comes, so that it fills no disk, and only its end is kept.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

/// Of a command's output so much is kept, in bytes.
const KEPT: usize = 1 << 20;

/// The output of one command, as long as it runs.
pub(crate) struct Output {
    reader: JoinHandle<Vec<u8>>,
    /// Tells the reader that the command is over, by being closed.
    running: PipeWriter,
}

impl Output {
    /// Starts to read. What is returned beside is for the command.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub(crate) fn open() -> io::Result<(Self, PipeWriter)> {
        let (output, command) = io::pipe()?;
        let (over, running) = io::pipe()?;
        let reader = thread::spawn(move || read(output, &over));
        Ok((Self { reader, running }, command))
    }

    /// The end of what was printed until now, whoever may still hold the pipe.
    pub(crate) fn end(self) -> String {
        drop(self.running);
        let mut kept = self.reader.join().unwrap_or_default();
        let bytes = kept.split_off(kept.len().saturating_sub(KEPT));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Reads to the end, or until the command is over and the pipe is empty.
fn read(mut output: PipeReader, over: &PipeReader) -> Vec<u8> {
    let (mut kept, mut bytes) = (Vec::new(), vec![0; 1 << 16]);
    // What can be in the pipe of a command that is over: more is written by what cannot be ended.
    let (mut is_over, mut left) = (false, KEPT);
    while left > 0 {
        let mut fds = [
            PollFd::new(&output, PollFlags::IN),
            PollFd::new(over, PollFlags::IN),
        ];
        let _ = poll(&mut fds, None);
        let [has_more, ends] = fds.map(|fd| !fd.revents().is_empty());
        match has_more {
            true => match output.read(&mut bytes) {
                Ok(count @ 1..) => {
                    kept.extend_from_slice(&bytes[..count]);
                    left -= if is_over { count.min(left) } else { 0 };
                }
                _ => break,
            },
            // It was over before the pipe was found empty.
            false if is_over => break,
            false => {}
        }
        is_over |= ends;
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn of_a_flood_the_end_is_kept() {
        let (output, mut command) = Output::open().expect("a pipe");
        for _ in 0..2000 {
            command.write_all(&[b'x'; 5000]).expect("written");
        }
        command.write_all(b"last").expect("written");
        drop(command);
        let end = output.end();
        assert_eq!(end.len(), KEPT);
        assert!(end.ends_with("xlast"));
    }

    #[test]
    fn nobody_waits_for_who_holds_the_pipe_or_floods_it() {
        for _ in 0..100 {
            let (output, mut command) = Output::open().expect("a pipe");
            command.write_all(b"all").expect("written");
            assert_eq!(output.end(), "all");
            drop(command);
        }
        let (output, mut command) = Output::open().expect("a pipe");
        let flood = thread::spawn(move || while command.write_all(&[b'x'; 5000]).is_ok() {});
        assert!(output.end().len() <= KEPT);
        flood.join().expect("the flood ends with its reader");
    }
}
