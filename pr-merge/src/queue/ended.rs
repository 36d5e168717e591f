//! What the end of a test comes to: for the plan, and for one that was red alone.

use std::time::{Duration, Instant};

use git::shell::Judged;

use crate::gate::verdict::{On, Verdict};
use crate::lane::check::{Run, Tested, blame};
use crate::queue::Queue;

/// After so long a check that asked for another time is run again.
pub(super) const LATER: Duration = Duration::from_mins(1);

impl Queue<'_> {
    /// Notes how a test has ended.
    pub(super) fn tested(&mut self, key: u64, base: &str, tested: anyhow::Result<Tested>) {
        let Some(rounds) = self.rounds.get_mut(base) else {
            return;
        };
        let pipe = &self.tool.pipe;
        let tested = match tested {
            Ok(tested) => tested,
            Err(err) => {
                let why = format!("{err:#}");
                let run = Run {
                    judged: Judged::Failed,
                    how: why.clone(),
                    said: why,
                };
                let Some(trial) = rounds.trial(key).filter(|trial| !trial.is_void) else {
                    return rounds.forget(key);
                };
                let names = trial.group.names();
                match &trial.group.members[..] {
                    // It is no word on the base.
                    [] => {
                        rounds.later = Some((Instant::now() + LATER, run.how));
                        rounds.forget(key);
                        pipe.complain(&format!("{names} cannot be checked: {err:#}"));
                    }
                    [one] => {
                        let id = one.id.clone();
                        rounds.forget(key);
                        if let Some(waiting) = self.take(&id) {
                            self.settle(waiting, Err(err));
                        }
                    }
                    _ => {
                        pipe.remark(&format!(
                            "{base}: {names} cannot be checked together: {err:#}"
                        ));
                        let group = trial.group.clone();
                        rounds.end(key, &group, run);
                    }
                }
                return;
            }
        };
        let Tested {
            group,
            run,
            before,
            took,
        } = tested;
        rounds.took = took.unwrap_or(rounds.took);
        if let (Judged::Passed | Judged::Failed, Some(took)) = (run.judged, took) {
            rounds.shown.took(took);
        }
        let Some(trial) = rounds.end(key, &group, run.clone()) else {
            return;
        };
        let took = took.map_or("known".to_owned(), |took| {
            format!("{:.1} s", took.as_secs_f64())
        });
        if group.members.len() > 1 {
            let names = trial.group.names();
            let end = match run.judged {
                Judged::Passed => format!("green ({took})"),
                _ => format!("red ({}, {took}): they are divided", run.how),
            };
            pipe.remark(&format!("{base}: {names} together: {end}"));
        }
        if let (Judged::Passed, Some(before), [one]) = (run.judged, before, &group.members[..]) {
            let what = format!("the check is flaky: {before}, and then it passed");
            pipe.say(&one.id, &what);
        }
        if run.judged == Judged::Later {
            let why = format!("the check is to be run later ({})", run.how);
            rounds.later = Some((Instant::now() + LATER, why));
            return rounds.forget(key);
        }
        if let (Judged::NotRun, [one]) = (run.judged, &group.members[..]) {
            // Whatever the base says; on another tip it may run.
            self.blame(base, &one.id, Judged::Passed);
            if let Some(rounds) = self.rounds.get_mut(base) {
                rounds.forget(key);
            }
            return;
        }
        if group.members.is_empty() {
            rounds.forget(key);
            self.lanes.bases.insert(group.tip, run.judged);
            if matches!(run.judged, Judged::Failed | Judged::Died) {
                pipe.remark(&format!(
                    "the check fails on {base} itself, at {} ({}): nobody is sent back for that",
                    group.tip, run.how
                ));
            }
        }
    }

    /// Says of one that was red alone what that comes to.
    pub(super) fn blame(&mut self, base: &str, id: &str, alone: Judged) {
        let rounds = &self.rounds[base];
        let tip = rounds.tip;
        let (Some(run), beside) = (rounds.run_of(id).cloned(), rounds.beside(id)) else {
            return;
        };
        let Some(mut waiting) = self.take(id) else {
            return;
        };
        // The check may have taken long.
        let verdict = self.lanes.failed(waiting.hand.bead(), blame(&run, alone));
        let verdict = verdict.map(|verdict| match verdict {
            Verdict::Rework { why, feedback } => {
                self.culprits += 1;
                let feedback = format!("{feedback}{}", beside.unwrap_or_default());
                Verdict::Rework { why, feedback }
            }
            wait => {
                let is_for_us = matches!(wait, Verdict::Wait(On::Us, _));
                waiting.stands = (!is_for_us).then(|| (tip, wait.clone()));
                // The next look says whether it is ready for anything else.
                waiting.ready = None;
                wait
            }
        });
        match verdict {
            Ok(Verdict::Landed(_)) => drop(self.land_alone(waiting, None)),
            verdict => drop(self.settle(waiting, verdict.map(Some))),
        }
    }
}
