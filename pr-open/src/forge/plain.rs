//! Plain git as a forge: any remote that takes refs, a path included.
//!
//! Pull request N of branch B is three refs: `refs/pull/N/head`, the head; `refs/beadline/pull/N`, a
//! blob with title, body and state; and, while it is open, `refs/beadline/open/B`, the same blob.
//! All change in atomic pushes with a lease on each, so the remote arbitrates: of several that open
//! or land at once one wins. A remote that is killed in the middle may leave half of a push (the
//! files backend renames one ref after the other, measured with git 2.39): what is found half
//! opened is completed under its number, and what is half landed counts as landed only if the base
//! has it.

mod turns;

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, anyhow, bail};
use git::{Git, Sha};
use serde::Serialize;

use crate::paper::{Paper, Word, branch_ref, open_ref, paper_ref, pull_number};
use crate::push::{Change, Pushed, Remote};
use crate::turn::{Turn, turn_ref};
use crate::{Forge, Land, Landed, Landing, NewPull, Opened, Pull, Seen, State, Unread, Wanted};

/// The forge of one remote.
pub(crate) struct Plain {
    remote: Remote,
    /// The last number that was seen in use.
    last: Mutex<u64>,
    /// The small refs as they were seen last, by number: what a landing is a change of.
    kept: Mutex<HashMap<u64, Kept>>,
    /// The turns as they were seen last, by base, with their blobs.
    turns: Mutex<HashMap<String, (Sha, Option<Turn>)>>,
}

#[derive(Clone, Debug)]
struct Kept {
    blob: Sha,
    open: Option<Sha>,
    paper: Paper,
}

/// How often a number that another line was faster to take is followed by the next.
const TRIES: u32 = 50;

impl Plain {
    pub(crate) fn new(remote: Remote) -> Self {
        Self {
            remote,
            last: Mutex::new(0),
            kept: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// The named refs of the remote that exist. A name may end in `*`.
    fn refs(&self, names: &[String]) -> anyhow::Result<HashMap<String, Sha>> {
        let mut args = vec!["ls-remote", "--refs", "--", &self.remote.name];
        args.extend(names.iter().map(String::as_str));
        let listed = Git::at(&self.remote.common)
            .run(&args)
            .with_context(|| format!("cannot reach the remote '{}'", self.remote.name))
            .map_err(Unread::of)?;
        let mut refs = HashMap::new();
        for line in listed.lines() {
            let (sha, name) = line.split_once('\t').context("git ls-remote: odd answer")?;
            refs.insert(name.to_owned(), Sha::from_hex(sha.as_bytes())?);
        }
        Ok(refs)
    }

    fn fetch(&self, name: &str) -> anyhow::Result<()> {
        let fetched = Git::at(&self.remote.common).fetch(&self.remote.name, &[name]);
        fetched.map_err(Unread::of)
    }

    /// The blob, fetched if another clone made it.
    fn paper(&self, blob: Sha, name: &str) -> anyhow::Result<Paper> {
        if !self.remote.look.has(blob) {
            self.fetch(name)?;
        }
        serde_json::from_slice(&self.remote.look.blob(blob)?)
            .with_context(|| format!("'{name}' on the remote is no pull request of ours"))
    }

    fn store(&self, paper: &impl Serialize) -> anyhow::Result<Sha> {
        // A file, as git's stdin is a lock's.
        let mut file = tempfile::NamedTempFile::new().context("no temporary file")?;
        serde_json::to_writer(&mut file, paper)?;
        file.flush()?;
        let path = file.path().to_str();
        let path = path.context("a temporary file's path is UTF-8")?;
        let blob =
            Git::at(&self.remote.common).run(&["hash-object", "-w", "--no-filters", "--", path])?;
        Ok(Sha::from_hex(blob.as_bytes())?)
    }

    fn kept(&self, wanted: &Wanted) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&wanted.number).cloned()
    }

    fn pull_of(&self, paper: &Paper, refs: &HashMap<String, Sha>) -> anyhow::Result<Pull> {
        let is_open = refs.contains_key(&open_ref(&paper.branch));
        let state = match paper.state {
            Word::Merged => {
                let commit = Sha::from_hex(paper.merged.as_bytes())?;
                let base = refs.get(&branch_ref(&paper.base)).copied();
                match base.map_or(Ok(false), |base| self.contains(&paper.base, base, commit))? {
                    true => State::Merged {
                        head: Sha::from_hex(paper.head.as_bytes())?,
                        commit,
                    },
                    false if is_open => State::Open,
                    false => State::Closed,
                }
            }
            Word::Open if is_open => State::Open,
            Word::Open | Word::Closed => State::Closed,
        };
        Ok(Pull {
            number: paper.number,
            url: String::new(),
            state,
            draft: paper.draft,
            head: refs.get(&branch_ref(&paper.branch)).copied(),
            base: paper.base.clone(),
            base_head: refs.get(&branch_ref(&paper.base)).copied(),
            report: None,
            busy: None,
        })
    }

    /// What these refs, its own among them, say of a pull request.
    fn read(&self, wanted: &Wanted, refs: &HashMap<String, Sha>) -> Seen {
        let Wanted { number, branch, .. } = wanted;
        let Some(blob) = refs.get(&paper_ref(*number)).copied() else {
            return Ok(None);
        };
        let paper = self.paper(blob, &paper_ref(*number))?;
        let pull = Pull {
            // Whatever base the paper names by now.
            base_head: refs.get(&branch_ref(&wanted.base)).copied(),
            ..self.pull_of(&paper, refs)?
        };
        let open = refs.get(&open_ref(branch)).copied();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(*number, Kept { blob, open, paper });
        Ok(Some(pull))
    }

    /// Whether the base on the remote, which is at `at`, has `commit`.
    fn contains(&self, base: &str, at: Sha, commit: Sha) -> anyhow::Result<bool> {
        if !self.remote.look.has(at) {
            self.fetch(&branch_ref(base))?;
        }
        self.remote.look.contains(at, commit)
    }

    fn note_numbers(&self, refs: &HashMap<String, Sha>) {
        // Refs that are somebody else's pull requests take their numbers, too.
        let paper = |name: &str| {
            name.strip_prefix("refs/beadline/pull/")?
                .parse::<u64>()
                .ok()
        };
        let number = |name: &str| paper(name).or_else(|| pull_number(name));
        let highest = refs
            .keys()
            .filter_map(|name| number(name))
            .max()
            .unwrap_or(0);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = highest.max(*last);
    }

    /// The refs of all pull requests, and of one branch.
    fn survey(&self, branch: &str) -> anyhow::Result<HashMap<String, Sha>> {
        let all = ["refs/pull/*/head", "refs/beadline/pull/*"].map(str::to_owned);
        let refs = self.refs(&[&all[..], &[open_ref(branch), branch_ref(branch)]].concat())?;
        self.note_numbers(&refs);
        Ok(refs)
    }

    /// The number under which the branch has or had a pull request, and what its small ref says:
    /// the open one; else one that landed this very head; else one whose opening was cut off.
    fn found(
        &self,
        branch: &str,
        head: Sha,
        refs: &HashMap<String, Sha>,
    ) -> anyhow::Result<Option<(u64, Option<Paper>)>> {
        if let Some(blob) = refs.get(&open_ref(branch)) {
            let paper = self.paper(*blob, &open_ref(branch))?;
            let number = paper.number;
            let now = refs
                .get(&paper_ref(number))
                .map(|blob| self.paper(*blob, &paper_ref(number)));
            return Ok(Some((number, now.transpose()?)));
        }
        let mut numbers: Vec<u64> = refs
            .iter()
            .filter(|(_, at)| **at == head)
            .filter_map(|(name, _)| pull_number(name))
            .collect();
        numbers.sort_unstable();
        for number in numbers.into_iter().rev() {
            let Some(blob) = refs.get(&paper_ref(number)) else {
                return Ok(Some((number, None)));
            };
            let paper = self.paper(*blob, &paper_ref(number))?;
            if paper.branch == branch && paper.state != Word::Closed {
                return Ok(Some((number, Some(paper))));
            }
        }
        Ok(None)
    }
}

impl Forge for Plain {
    fn find(&self, branch: &str, head: Sha) -> anyhow::Result<Option<Pull>> {
        let refs = self.survey(branch)?;
        let paper = self
            .found(branch, head, &refs)?
            .and_then(|(_, paper)| paper);
        paper.map(|paper| self.pull_of(&paper, &refs)).transpose()
    }

    fn open(&self, new: &NewPull) -> anyhow::Result<Opened> {
        for _ in 0..TRIES {
            let refs = self.survey(&new.branch)?;
            if refs.get(&branch_ref(&new.branch)) != Some(&new.head) {
                return Ok(Opened::HeadNotOnRemote);
            }
            let found = self.found(&new.branch, new.head, &refs)?;
            let existed = found.is_some();
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let (number, known) = found.unwrap_or((last + 1, None));
            if let Some(paper) = &known
                && paper.state == Word::Merged
            {
                return Ok(Opened::Existed(self.pull_of(paper, &refs)?));
            }
            let paper = match known {
                Some(paper) if new.moves(number, &paper.base) => Paper {
                    base: new.base.clone(),
                    ..paper
                },
                Some(paper) => paper,
                None => Paper::new(number, new),
            };
            let blob = self.store(&paper)?;
            // What is as it should be already is no part of the push.
            let wanted = [
                (format!("refs/pull/{number}/head"), new.head),
                (paper_ref(number), blob),
                (open_ref(&new.branch), blob),
            ];
            let changes: Vec<Change> = wanted
                .into_iter()
                .map(|(name, at)| (refs.get(&name).copied(), name, Some(at)))
                .filter(|(now, _, at)| now != at)
                .map(|(now, name, at)| (name, now, at))
                .collect();
            if !changes.is_empty() {
                match self.remote.push(&changes)? {
                    Pushed::Done => {}
                    Pushed::Declined(why) => return Ok(Opened::Denied(why)),
                    // Another line was faster, with this number or with this branch.
                    Pushed::Moved => continue,
                }
            }
            let mut pull = self.pull_of(&paper, &refs)?;
            pull.state = State::Open;
            return Ok(if existed {
                Opened::Existed(pull)
            } else {
                Opened::Created(pull)
            });
        }
        bail!(
            "the remote '{}' gave no number for a pull request",
            self.remote.name
        )
    }

    fn pulls(&self, wanted: &[Wanted]) -> anyhow::Result<Vec<Seen>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let names = wanted.iter().flat_map(|w| {
            [
                paper_ref(w.number),
                open_ref(&w.branch),
                branch_ref(&w.branch),
                branch_ref(&w.base),
                turn_ref(&w.base),
            ]
        });
        let refs = self.refs(&names.collect::<Vec<_>>())?;
        self.note_turns(wanted, &refs);
        Ok(wanted.iter().map(|one| self.read(one, &refs)).collect())
    }

    fn pull(&self, wanted: &Wanted) -> anyhow::Result<Option<Pull>> {
        let seen = self.pulls(std::slice::from_ref(wanted))?.pop();
        Ok(seen.transpose()?.flatten())
    }

    fn land(&self, landings: &[Landing]) -> anyhow::Result<Landed> {
        let mut changes = vec![self.remote.step(landings)?];
        for landing in landings {
            let Landing { wanted, head, .. } = landing;
            let Some(Kept {
                blob,
                open: Some(open),
                paper,
            }) = self.kept(wanted)
            else {
                return Ok(Landed::Moved);
            };
            let merged = self.store(&paper.merged(*head, landing.commit, landing.tree))?;
            changes.extend([
                (paper_ref(wanted.number), Some(blob), Some(merged)),
                (open_ref(&wanted.branch), Some(open), None),
                // Stays as it is: the lease says that it is still the head that was tested.
                (branch_ref(&wanted.branch), Some(*head), Some(*head)),
            ]);
        }
        Ok(match self.remote.push(&changes)? {
            Pushed::Done => Landed::Merged,
            Pushed::Declined(why) => Landed::Blocked(why),
            Pushed::Moved => Landed::Moved,
        })
    }

    fn settle(&self, wanted: &Wanted, head: Sha, commit: Sha) -> anyhow::Result<()> {
        let Some(Kept { blob, open, paper }) = self.kept(wanted) else {
            return Ok(());
        };
        let mut changes = Vec::new();
        if paper.state != Word::Merged {
            let merged = self.store(&paper.merged(head, commit, self.remote.look.tree(commit)?))?;
            changes.push((paper_ref(wanted.number), Some(blob), Some(merged)));
        }
        if open.is_some() {
            changes.push((open_ref(&wanted.branch), open, None));
        }
        if changes.is_empty() {
            return Ok(());
        }
        match self.remote.push(&changes)? {
            Pushed::Done => Ok(()),
            Pushed::Declined(why) => bail!(why),
            // Another line was faster: the next look tells.
            Pushed::Moved => Err(Unread::of(anyhow!("its refs moved while it was settled"))),
        }
    }

    fn lands_together(&self, _: Land) -> bool {
        true
    }

    fn turn(&self, base: &str) -> Option<Turn> {
        self.seen_turn(base).and_then(|(_, turn)| turn)
    }

    fn set_turn(&self, base: &str, turn: Option<&Turn>) -> anyhow::Result<bool> {
        self.put_turn(base, turn)
    }

    fn has_checks(&self) -> bool {
        false
    }
}
