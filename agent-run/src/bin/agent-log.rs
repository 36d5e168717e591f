//! Prints what the agent of a bead has said and done, as people read it.
//!
//! Reads logs only; they outlive their runs until `wt-clean` drops them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent::readable;
use anyhow::{Context, ensure};
use beads::lock::Held;
use beads::watch::Watch;
use beads::{Common, Tool, harmless, pipe};
use clap::Parser;

/// Print what the agent of a bead has said and done
#[derive(Parser)]
#[command(
    name = "agent-log",
    version,
    after_help = "Example: agent-log --follow bd-a3f8

What the agent says is printed as it is. Calls begin with '$', their results are indented, usage
begins with '=', and errors with '!'.
Exit status: 0 done, 1 there is no such log, 2 usage."
)]
struct Args {
    /// The bead's id
    #[arg(value_name = "ID")]
    id: String,

    /// Print the last 100 lines, and go on until the run has ended
    #[arg(long)]
    follow: bool,

    /// Print the lines as the agent printed them, without control characters
    #[arg(long)]
    raw: bool,

    /// Number of the run [default: the last one]
    #[arg(long, value_name = "N")]
    run: Option<u64>,

    #[command(flatten)]
    common: Common,
}

/// Where `--follow` begins: so many lines before the end.
const LAST: usize = 100;

/// How often the end of the run is looked for while its agent is silent.
const TICK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args: Args = pipe::parse();
    Tool::run("agent-log", &args.common, |tool| {
        show(tool, &args).with_context(|| args.id.clone())
    })
}

fn show(tool: &Tool, args: &Args) -> anyhow::Result<()> {
    let folder = tool.repository.folder(&args.id);
    let last = tool.find(&args.id)?.facts().run;
    let run = args.run.unwrap_or(last);
    ensure!(run > 0, "no agent has run");
    let log = folder.log(run);
    let watch = Watch::on(tool, &log);
    let mut lines = Lines::open(&log)?;
    let mut shown: Vec<String> = Vec::new();
    for line in lines.read()? {
        shown.extend(args.text(&line));
    }
    let skipped = if args.follow {
        shown.len().saturating_sub(LAST)
    } else {
        0
    };
    for line in shown.iter().skip(skipped) {
        tool.pipe.print(line);
    }
    if args.follow {
        tool.pipe.watch_stdout(|| {});
        loop {
            // Asked before the last reading: what comes in between is read by it.
            let over = run < last || !Held::now().contains(&folder.hold_lock());
            for line in lines.read()? {
                args.text(&line)
                    .iter()
                    .for_each(|line| tool.pipe.print(line));
            }
            if over {
                break;
            }
            let _ = watch.wait(TICK);
        }
    }
    args.text(&lines.rest())
        .iter()
        .for_each(|line| tool.pipe.print(line));
    Ok(())
}

impl Args {
    fn text(&self, line: &str) -> Vec<String> {
        match self.raw {
            _ if line.is_empty() => Vec::new(),
            true => vec![harmless(line.trim_end_matches(['\r', '\n']))],
            false => readable(line),
        }
    }
}

/// The complete lines of a log, as they come.
struct Lines {
    file: File,
    at: u64,
    begun: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("no log at '{}'", path.display()))?;
        Ok(Self {
            file,
            at: 0,
            begun: Vec::new(),
        })
    }

    fn read(&mut self) -> anyhow::Result<Vec<String>> {
        let len = self.file.metadata()?.len();
        if len < self.at {
            // Its middle was cut out: its end is what is new.
            self.at = len;
            self.begun.clear();
        }
        self.file.seek(SeekFrom::Start(self.at))?;
        let read = (&self.file)
            .take(len - self.at)
            .read_to_end(&mut self.begun)?;
        self.at += u64::try_from(read)?;
        let end = self.begun.iter().rposition(|byte| *byte == b'\n');
        let rest = self.begun.split_off(end.map_or(0, |end| end + 1));
        let lines = std::mem::replace(&mut self.begun, rest);
        let lines = String::from_utf8_lossy(&lines);
        Ok(lines.split_inclusive('\n').map(str::to_owned).collect())
    }

    /// The last line, where nothing ends it.
    fn rest(&self) -> String {
        String::from_utf8_lossy(&self.begun).into_owned()
    }
}
