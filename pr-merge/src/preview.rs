//! What a dry run says: what would become of each pull request, and what would be tested first.

use std::collections::BTreeMap;
use std::sync::Arc;

use beads::time::now;
use beads::{Bead, Change, Phase, Status};

use crate::gate::verdict::{On, Verdict};
use crate::lane::group::names;
use crate::lane::{Lanes, wanted};
use crate::plan::{Base, Facts, chain, plan};

impl Lanes {
    /// A dry run; `rate`: how many are thought to be red.
    pub(crate) fn preview_all(&mut self, rate: f64) {
        let (tool, args) = (self.tool.clone(), Arc::clone(&self.args));
        let mut queues: BTreeMap<String, Vec<Bead>> = BTreeMap::new();
        tool.preview(&args.beads, Phase::PrCreated, |bead| {
            if self.preview(bead)? {
                let queue = queues.entry(bead.facts().base.clone());
                queue.or_default().push(bead.clone());
            }
            Ok(())
        });
        if args.check.command.is_none() {
            return;
        }
        for (base, queue) in queues {
            tool.pipe.remark(&self.first(&base, queue, rate));
        }
    }

    /// The groups of a queue that would be tested first, in words.
    fn first(&self, base: &str, mut queue: Vec<Bead>, rate: f64) -> String {
        queue.sort_by_key(Bead::place);
        let facts = Facts {
            queue: queue.len(),
            tests: &[],
            base: Base::Unknown,
            slots: self.args.check_jobs,
            batch: self.args.batch,
            rate,
        };
        let plan = match self.lands_together(base) {
            true => plan(&facts),
            false => chain(&facts),
        };
        let of = |group: &Vec<usize>| {
            let ids: Vec<&str> = group.iter().map(|place| queue[*place].id()).collect();
            names(base, &ids)
        };
        let groups: Vec<String> = plan.test.iter().map(of).collect();
        let how = match plan.test.as_slice() {
            [group] if group.len() > 1 => format!("{} together", groups[0]),
            [_] => groups[0].clone(),
            _ => format!("side by side: {}", groups.join("; ")),
        };
        format!("{base}: would first check {how}")
    }

    /// Says what would become of a pull request, and prints its bead as it would be. `true`: it would
    /// be tested.
    ///
    /// # Errors
    /// When repository or forge cannot be read.
    fn preview(&mut self, bead: &Bead) -> anyhow::Result<bool> {
        if !self
            .tool
            .would_take(bead, &(Phase::PrCreated..=Phase::PrCreated))?
        {
            return Ok(false);
        }
        let mut is_tested = false;
        let (lands, what) = if bead.facts().pr_number == 0 {
            // It has none yet: an earlier dry run said that it would get one.
            is_tested = true;
            (true, "would be landed".to_owned())
        } else {
            let pull = self.forge.pull(&wanted(bead)?)?;
            let verdict = self.look_at(bead, pull.as_ref())?;
            is_tested |= matches!(verdict, Verdict::Wait(On::Us, _) | Verdict::Land(_));
            match verdict {
                Verdict::Update => (true, "would be brought up to date, and landed".to_owned()),
                Verdict::Wait(On::Us, why) => (true, format!("would be landed; {why}")),
                Verdict::Land(_) | Verdict::Landed(_) => (true, "would be landed".to_owned()),
                Verdict::Wait(_, why) => (false, format!("would wait: {why}")),
                Verdict::Rework { why, .. } | Verdict::Conflict { why, .. } => {
                    (false, format!("would be sent back: {why}"))
                }
                Verdict::ChangesWanted(_) => (false, "would be sent back".to_owned()),
                Verdict::Blocked(why) => (false, format!("would be blocked: {why}")),
            }
        };
        self.tool.pipe.say(bead.id(), &what);
        if lands {
            let change = Change::to(Phase::Merged).status(Status::Closed);
            self.tool.pipe.emit(&bead.with(&change, now())?);
        }
        Ok(is_tested)
    }
}
