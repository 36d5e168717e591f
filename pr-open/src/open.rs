//! One bead: push → find or open the pull request → write.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use beads::{Bead, Change, Fact, Hand, Phase, Tool, time};
use forge::{Forge, NewPull, Opened, Pull, Spent};
use git::{Git, Look, Ran, Sha, failed, require_branch};

use crate::{Args, words};

struct Open<'a> {
    tool: &'a Tool,
    args: &'a Args,
    look: Look,
    forge: Box<dyn Forge>,
}

/// A pause that is not for a look or two, but for a quota that is spent.
const LONG: Duration = Duration::from_mins(1);

/// What came of a push.
enum Pushed {
    /// The remote branch is at our head.
    Done,
    /// It has somebody's commits that ours lack.
    Foreign(Sha),
}

pub(crate) fn run(tool: &Tool, args: &Args) -> anyhow::Result<()> {
    tool.pipe.watch_stdout(|| {});
    let look = Look::open(&tool.repository)?;
    let forge = args.forge.open(&tool.repository, &look)?;
    let open = Open {
        tool,
        args,
        look,
        forge,
    };
    if args.dry.run {
        tool.preview(&args.beads, Phase::Committed, |bead| open.preview(bead));
        return Ok(());
    }
    let (sender, hands) = mpsc::channel();
    tool.feed_hands(
        &args.beads,
        Phase::Committed..=Phase::Committed,
        move |hand| {
            if let Some(hand) = hand {
                let _ = sender.send(hand);
            }
        },
    );
    for mut hand in hands {
        match open.patiently(&mut hand) {
            Ok(true) => tool.pipe.emit(&hand.done()?),
            Ok(false) => {}
            Err(err) => hand.fail(&err),
        }
    }
    Ok(())
}

impl Open<'_> {
    fn preview(&self, bead: &Bead) -> anyhow::Result<()> {
        if self
            .tool
            .would_take(bead, &(Phase::Committed..=Phase::Committed))?
        {
            let title = words::title(&self.args.title, bead)?;
            self.tool
                .pipe
                .say(bead.id(), &format!("would get the pull request '{title}'"));
            let change = Change::to(Phase::PrCreated);
            self.tool.pipe.emit(&bead.with(&change, time::now())?);
        }
        Ok(())
    }

    /// Opens it as soon as the forge takes requests.
    fn patiently(&self, hand: &mut Hand) -> anyhow::Result<bool> {
        loop {
            let pause = self.forge.pause();
            if pause > LONG {
                Self::wait(
                    hand,
                    pause,
                    "what is left of the forge's quota is for people",
                );
            }
            let opened = self.open(hand);
            match opened.as_ref().err().and_then(|err| err.downcast_ref()) {
                Some(spent @ Spent { wait, .. }) => Self::wait(hand, *wait, &spent.to_string()),
                None => return opened,
            }
        }
    }

    fn wait(hand: &Hand, time: Duration, why: &str) {
        hand.say(&format!("waits {} s: {why}", time.as_secs()));
        thread::sleep(time);
    }

    /// `false`, and said: the bead is a person's or its agent's now.
    fn open(&self, hand: &mut Hand) -> anyhow::Result<bool> {
        let bead = hand.bead().clone();
        let facts = bead.facts();
        require_branch(&facts.branch, &facts.base)?;
        let Some(at) = self.look.commit(&format!("refs/heads/{}", facts.branch))? else {
            let why = format!(
                "its branch {} is gone; the work was {}",
                facts.branch, facts.head
            );
            hand.give_to_person(&why)?;
            return Ok(false);
        };
        // What was judged is what is pushed, wherever the branch is when that happens.
        let head = Sha::from_hex(facts.head.as_bytes()).context("`head` is no commit")?;
        ensure!(
            self.look.contains(at, head)?,
            "its branch {} lost the commit {head} that was judged",
            facts.branch
        );
        if at != head {
            return self.judge_again(hand, at);
        }
        let new = NewPull {
            branch: facts.branch.clone(),
            base: facts.base.clone(),
            ours: facts.pr_number,
            head,
            title: words::title(&self.args.title, &bead)?,
            body: words::body(&self.args.body, &bead)?,
            draft: self.args.draft,
            labels: self.args.label.clone(),
            reviewers: self.args.reviewer.clone(),
        };
        if !hand.still_ours()? {
            return Ok(false);
        }
        if let Pushed::Foreign(theirs) = self.push(hand, head)? {
            return self.send_back(hand, theirs);
        }
        let (pull, created) = match self.forge.open(&new)? {
            Opened::Created(pull) => (pull, true),
            Opened::Existed(pull) => (pull, false),
            Opened::HeadNotOnRemote => bail!("the remote branch moved while it was pushed"),
            Opened::Denied(why) => {
                hand.give_to_person(&why)?;
                return Ok(false);
            }
        };
        Self::write(hand, &pull, head, created)
    }

    fn write(hand: &mut Hand, pull: &Pull, head: Sha, created: bool) -> anyhow::Result<bool> {
        let facts = hand.bead().facts();
        // What an earlier claim landed is not this: the next claim must not take it for landed.
        let new_work = !facts.merged_sha.is_empty() && facts.pushed != head;
        // Its place among those that wait to land, which it keeps when its work is done anew.
        let opened_at = facts.opened_at.is_none().then(time::now);
        let change = Change::to(Phase::PrCreated)
            .facts(opened_at.map(|at| Fact::OpenedAt(Some(at))))
            .facts(new_work.then(|| Fact::MergedSha(String::new())))
            .facts([
                Fact::PrNumber(pull.number),
                Fact::PrUrl(pull.url.clone()),
                Fact::Pushed(head.to_string()),
            ]);
        if !hand.record(&change)? {
            return Ok(false);
        }
        let what = if created {
            "opened"
        } else {
            "brought up to date"
        };
        let say = |what: &str| {
            hand.say(&format!("pull request {} {what}", pull.number));
        };
        say(what);
        if !created && pull.base != hand.bead().facts().base {
            say(&format!("is to land on {}, as a person said", pull.base));
        }
        Ok(true)
    }

    fn send_back(&self, hand: &mut Hand, theirs: Sha) -> anyhow::Result<bool> {
        let facts = hand.bead().facts();
        let why = format!(
            "somebody pushed commit {theirs} to {}: merge it into your branch",
            facts.branch
        );
        let change = Change::rework(hand.bead(), &why, self.args.rounds.max);
        hand.send_back(&change, &format!("sent back: {why}"))?;
        Ok(false)
    }

    /// Commits that nobody has judged are on the branch, a person's or what is left of its agent's:
    /// they are neither pushed nor left behind.
    fn judge_again(&self, hand: &mut Hand, at: Sha) -> anyhow::Result<bool> {
        let branch = &hand.bead().facts().branch;
        let why = format!("{branch} went on to {at} after its verdict");
        let change = Change::judge_again(hand.bead(), &why, self.args.rounds.max);
        hand.send_back(&change, &format!("to be judged again: {why}"))?;
        Ok(false)
    }

    /// Pushes with a lease on the remote head, which must be absent, what we pushed before, or an
    /// ancestor of ours.
    fn push(&self, hand: &Hand, head: Sha) -> anyhow::Result<Pushed> {
        let facts = hand.bead().facts();
        let full = format!("refs/heads/{}", facts.branch);
        let ours = Sha::from_hex(facts.pushed.as_bytes()).ok();
        let ran = self.push_over(hand, head, &full, ours)?;
        if ran.code == Some(0) {
            return Ok(Pushed::Done);
        }
        // Refused, or the answer was lost: the remote decides.
        let Some(theirs) = Git::at(self.tool.repository.common())
            .remote_commit(&self.args.forge.remote.name, &full)?
        else {
            let again = self.push_over(hand, head, &full, None)?;
            ensure!(again.code == Some(0), refused(&again));
            return Ok(Pushed::Done);
        };
        if theirs == head {
            return Ok(Pushed::Done);
        }
        if Some(theirs) == ours {
            bail!(refused(&ran));
        }
        if !self.look.has(theirs) {
            let remote = &self.args.forge.remote.name;
            Git::at(self.tool.repository.common())
                .holding(hand.lock())
                .fetch(remote, &[&full])?;
        }
        if !self.look.contains(head, theirs)? {
            return Ok(Pushed::Foreign(theirs));
        }
        let again = self.push_over(hand, head, &full, Some(theirs))?;
        ensure!(again.code == Some(0), refused(&again));
        Ok(Pushed::Done)
    }

    fn push_over(
        &self,
        hand: &Hand,
        head: Sha,
        full: &str,
        expected: Option<Sha>,
    ) -> anyhow::Result<Ran> {
        let expected = expected.map(|sha| sha.to_string()).unwrap_or_default();
        let lease = format!("--force-with-lease={full}:{expected}");
        let what = format!("{head}:{full}");
        let args = [
            "push",
            "--porcelain",
            &lease,
            "--",
            &self.args.forge.remote.name,
            &what,
        ];
        Git::at(self.tool.repository.common())
            .holding(hand.lock())
            .with_hooks()
            .output(&args)
    }
}

/// The error of a push, with the reason that only `--porcelain` prints: `! from:to [remote
/// rejected] (why)`.
fn refused(ran: &Ran) -> anyhow::Error {
    let err = failed(&["push"], ran);
    let line = ran.stdout.lines().find(|line| line.starts_with('!'));
    match line.and_then(|line| line.split('\t').next_back()) {
        Some(why) => err.context(why.to_owned()),
        None => err,
    }
}
