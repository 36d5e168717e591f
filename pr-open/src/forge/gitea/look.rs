//! A look at many pull requests: by their list, whose pages shrink where they are too much for the
//! server. Where it gives no list, each is asked for by its number, so that what cannot be read is
//! alone with that. That is so while the server answers other questions: one that is away is asked
//! no more for many than for one.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde_json::Value;

use super::{Base, Gitea, PAGE, PAGES, wire};
use crate::http::{Answer, Ask, Spent};
use crate::pull::{Pull, Wanted};
use crate::{Seen, Unread};

/// No page is made smaller.
const LEAST: usize = 10;

/// So many that cannot be read by themselves, while none can be, are the server's doing.
const ALONE: usize = 3;

/// How long the pull requests of a repository cannot be found after its first push.
const FIRST_PUSH: Duration = Duration::from_secs(5);

/// What a look has come to so far.
struct Looked<'a> {
    /// Where bases are, or why that is not known.
    bases: HashMap<&'a str, Result<Base, String>>,
    /// Those that were read, and those that were not.
    read: usize,
    alone: usize,
}

impl Gitea {
    /// # Errors
    /// When the server cannot be reached, or answers nothing at all.
    pub(super) fn look(&self, wanted: &[Wanted]) -> anyhow::Result<Vec<Seen>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut looked = Looked {
            bases: HashMap::new(),
            read: 0,
            alone: 0,
        };
        let open = self.open_pulls()?;
        self.memory.next_look(wanted);
        let mut seen = Vec::new();
        for one in wanted {
            let found = match &open {
                Ok(open) => self.listed(one, open),
                Err(_) => self.by_number(one, &mut looked)?,
            };
            let pull = found.and_then(|found| {
                let pull = found.map(|found| self.with_base(&found, one, &mut looked.bases));
                pull.transpose()
            });
            match pull {
                Err(err) if err.is::<Spent>() => return Err(err),
                pull => seen.push(pull),
            }
        }
        Ok(seen)
    }

    /// The open pull requests, oldest first: those that close meanwhile hide none on a later page
    /// for good, as what is missing is asked for by its number.
    ///
    /// The inner error: that list cannot be read, and nothing else is wrong with the server.
    ///
    /// # Errors
    /// When the server answers nothing, or refuses.
    pub(super) fn open_pulls(&self) -> anyhow::Result<anyhow::Result<Vec<wire::Pull>>> {
        loop {
            let most = self.most.load(Ordering::Relaxed);
            match self.list_open(most)? {
                Err(_) if most > LEAST => {
                    let half = most.div_ceil(2).max(LEAST);
                    self.most.store(half, Ordering::Relaxed);
                }
                Err(err) => return Ok(Err(err.context("cannot list the pull requests"))),
                Ok(listed) => {
                    // Step by step to what it can do again.
                    if most < PAGE && listed.len() >= most {
                        self.most.store(most + 1, Ordering::Relaxed);
                    }
                    // One that is odd is as good as not listed.
                    let known = |one| serde_json::from_value(one).ok();
                    return Ok(Ok(listed.into_iter().filter_map(known).collect()));
                }
            }
        }
    }

    /// In pages of so many.
    fn list_open(&self, most: usize) -> anyhow::Result<anyhow::Result<Vec<Value>>> {
        let rest = |page| format!("/pulls?state=open&sort=oldest&limit={most}&page={page}");
        let started = Instant::now();
        let mut all: Vec<Value> = Vec::new();
        for page in 1..=PAGES {
            let mut answer = self.ask_once(&rest(page))?;
            // A repository that had its first push a moment ago has no list yet.
            while page == 1
                && matches!(&answer, Ok(answer) if answer.status == 404)
                && started.elapsed() < FIRST_PUSH
            {
                thread::sleep(Duration::from_millis(300));
                answer = self.ask_once(&rest(page))?;
            }
            let read = |answer: Answer| Ok((answer.next().is_none(), answer.json::<Vec<Value>>()?));
            let (is_last, listed) = match answer.and_then(read) {
                Err(err) if err.is::<Unread>() => return Ok(Err(err)),
                page => page?,
            };
            all.extend(listed);
            if is_last {
                break;
            }
        }
        Ok(Ok(all))
    }

    /// One question, and why it was not answered: nothing else is wrong with the server.
    ///
    /// # Errors
    /// When the server answers no question.
    fn ask_once(&self, rest: &str) -> anyhow::Result<anyhow::Result<Answer>> {
        let asked = self.ask(rest, Ask::Once);
        match &asked {
            Err(err) if err.is::<Spent>() => return asked.map(Ok),
            Err(_) => self.ask_whether_alive()?,
            Ok(_) => {}
        }
        Ok(asked)
    }

    /// # Errors
    /// When the server does not even find the repository.
    fn ask_whether_alive(&self) -> anyhow::Result<()> {
        self.get("")?.json::<wire::Repository>().map(drop)
    }

    /// One of the list; what the list says is not asked for anew.
    fn listed(&self, one: &Wanted, open: &[wire::Pull]) -> anyhow::Result<Option<wire::Pull>> {
        let listed = open.iter().find(|pull| pull.number == one.number);
        // The list learns of pushes later than the pull request itself.
        match listed.filter(|pull| pull.head.sha() == Some(one.head)) {
            Some(found) => Ok(Some(found.clone())),
            None => self.one(one.number),
        }
    }

    /// One that is asked for where there is no list.
    ///
    /// # Errors
    /// When the server answers nothing.
    fn by_number(
        &self,
        one: &Wanted,
        looked: &mut Looked<'_>,
    ) -> anyhow::Result<anyhow::Result<Option<wire::Pull>>> {
        let answer = match self.ask_once(&format!("/pulls/{}", one.number))? {
            Ok(answer) => answer,
            Err(err) => return Ok(Err(err)),
        };
        match wire::Pull::of(&answer) {
            Ok(found) => {
                looked.read += 1;
                Ok(Ok(found))
            }
            Err(err) => {
                self.ask_whether_alive()?;
                looked.alone += 1;
                match looked.read == 0 && looked.alone >= ALONE {
                    true => Err(err),
                    false => Ok(Err(err)),
                }
            }
        }
    }

    /// With what is reported of it. A base that is not read is asked for once.
    fn with_base<'a>(
        &self,
        found: &wire::Pull,
        one: &'a Wanted,
        bases: &mut HashMap<&'a str, Result<Base, String>>,
    ) -> anyhow::Result<Pull> {
        if !bases.contains_key(one.base.as_str()) {
            let base = match self.base(&one.base) {
                Err(err) if err.is::<Unread>() => Err(format!("{err:#}")),
                base => Ok(base?),
            };
            bases.insert(&one.base, base);
        }
        match &bases[one.base.as_str()] {
            Ok(base) => self.with_report(found, base, false),
            Err(why) => Err(Unread::of(anyhow!("{why}"))),
        }
    }
}
