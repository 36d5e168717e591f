//! The gate: from facts to a verdict. Pure, and closed when in doubt.

pub(crate) mod facts;
mod report;
pub(crate) mod verdict;

use forge::{Busy, Pull, Report, State};
use git::Sha;

use crate::gate::facts::{Check, Facts, Merge, Review};
use crate::gate::verdict::{On, Verdict};

/// Judges a pull request.
pub(crate) fn gate(facts: &Facts) -> Verdict {
    let Some(pull) = facts.pull else {
        return Verdict::Blocked("the forge knows no such pull request".to_owned());
    };
    if let Some(end) = ended(pull, facts) {
        return end;
    }
    let Some(head) = pull.head else {
        return Verdict::Blocked("its branch is gone from the remote".to_owned());
    };
    if pull.base_head.is_none() {
        return Verdict::Blocked("its base branch is gone from the remote".to_owned());
    }
    if pull.base != facts.onto {
        let what = format!("it is to land on {}, not on {}", pull.base, facts.onto);
        return Verdict::Wait(On::Person, what);
    }
    if head != facts.pushed {
        let why = format!("somebody pushed commit {head} to its branch");
        let feedback = format!("{why}: merge that commit into your branch.");
        return Verdict::Rework { why, feedback };
    }
    // To land it again is nobody's to decide but a person's.
    if let Merge::Undone(why) = &facts.merge {
        return Verdict::Wait(On::Person, why.clone());
    }
    if let Some(Busy::Queued(place)) = &pull.busy {
        let what = format!("the merge queue has it: {place}");
        return Verdict::Wait(On::Machine, what);
    }
    if pull.draft {
        return Verdict::Wait(On::Person, "it is a draft".to_owned());
    }
    if facts.by_hand {
        return Verdict::Wait(On::Person, "it is to be merged by hand".to_owned());
    }
    let tree = match &facts.merge {
        Merge::Clean(tree) => *tree,
        Merge::Conflict(files) => {
            let why = format!("conflicts with the base in {files}");
            let feedback = format!(
                "Your work {why}. Merge {} into your branch, keep what both sides meant, and \
                 commit the merge.",
                facts.base
            );
            return Verdict::Conflict { why, feedback };
        }
        Merge::Unknown | Merge::InBase(_) | Merge::Undone(_) => {
            return Verdict::Wait(On::Us, "its merge has not been tried".to_owned());
        }
    };
    if pull.busy == Some(Busy::Settling) {
        let what = "the forge takes in a push, or looks for conflicts";
        return Verdict::Wait(On::Machine, what.to_owned());
    }
    let reported = pull
        .report
        .as_ref()
        .and_then(|report| report::judge(report, facts).or_else(|| held_back(report, facts)));
    // Nobody is asked to review what its checks have not passed.
    match &reported {
        Some(
            Verdict::Rework { .. } | Verdict::ChangesWanted(_) | Verdict::Wait(On::Machine, _),
        ) => {}
        _ => {
            if let Some(verdict) = reviewed(&facts.review) {
                return verdict;
            }
        }
    }
    if let Some(verdict) = reported {
        return verdict;
    }
    checked(facts, tree)
}

/// What the reviewer's word comes to, if it holds back.
fn reviewed(review: &Review) -> Option<Verdict> {
    Some(match review {
        Review::NotAsked | Review::Approved => return None,
        Review::NotRun => Verdict::Wait(On::Us, "the review has not run".to_owned()),
        Review::SentBack(words) => Verdict::Rework {
            why: "the reviewer sent it back".to_owned(),
            feedback: format!("The reviewer says:\n{words}"),
        },
        Review::ForPerson(why) => {
            Verdict::Wait(On::Person, format!("the reviewer wants a person: {why}"))
        }
        Review::Undecided(how) => {
            Verdict::Wait(On::Person, format!("the reviewer is undecided ({how})"))
        }
    })
}

/// What our own check makes of the merge that has this tree.
fn checked(facts: &Facts, tree: Sha) -> Verdict {
    let base = facts.base;
    match &facts.check {
        Check::NotAsked | Check::Green => Verdict::Land(tree),
        Check::NotRun => Verdict::Wait(On::Us, "the check has not run".to_owned()),
        Check::Red(output) => Verdict::Rework {
            why: "the check failed on the merge with the base".to_owned(),
            feedback: format!(
                "The check failed on the merge of your work with {base}. Merge {base} into your \
                 branch first, then put it right. The check's output ends:\n{output}"
            ),
        },
        Check::RedBase(how) => {
            let why = format!("the check fails on {base} itself, too ({how})");
            Verdict::Wait(On::Base, why)
        }
        Check::CannotRun(how) => Verdict::Wait(On::Person, format!("the check cannot run ({how})")),
        Check::Later(how) => {
            let why = format!("the check is to be run later ({how})");
            Verdict::Wait(On::Machine, why)
        }
    }
}

/// What became of one that nothing has to be done for any more.
fn ended(pull: &Pull, facts: &Facts) -> Option<Verdict> {
    let in_base = match facts.merge {
        Merge::InBase(commit) => Some(commit),
        _ => None,
    };
    let elsewhere = pull.base != facts.onto;
    Some(match (pull.state, in_base) {
        (State::Merged { .. }, Some(commit)) if elsewhere => Verdict::Landed(commit),
        (State::Merged { .. }, _) if elsewhere => Verdict::Blocked(format!(
            "it was merged into {}, not {}",
            pull.base, facts.onto
        )),
        (State::Merged { head, commit }, _) if head == facts.pushed || facts.is_ours_and_more => {
            Verdict::Landed(commit)
        }
        (State::Merged { head, .. }, _) => Verdict::Blocked(format!(
            "it was merged at {head}, not at our {}",
            facts.pushed
        )),
        (State::Open | State::Closed, Some(commit)) => Verdict::Landed(commit),
        (State::Closed, None) => Verdict::Blocked(match &facts.merge {
            Merge::Undone(why) => format!("its pull request was closed, and {why}"),
            _ => "its pull request was closed".to_owned(),
        }),
        (State::Open, None) => return None,
    })
}

/// What a base asks for beside reviews and checks.
fn held_back(report: &Report, facts: &Facts) -> Option<Verdict> {
    let policy = report.policy.as_ref().ok()?;
    let person = |why: String| Some(Verdict::Wait(On::Person, why));
    if let Some(why) = &policy.unread {
        return person(format!(
            "the forge holds it back, and what its base asks for cannot be read: {why}"
        ));
    }
    if policy.queue && !facts.demands.queue {
        return person("its base lands by a merge queue, which takes `--queue`".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use forge::Policy;

    use super::*;
    use crate::gate::facts::{Beside, Demands};

    fn sha(digit: char) -> Sha {
        Sha::from_hex(digit.to_string().repeat(40).as_bytes()).expect("hexadecimal")
    }

    fn pull() -> Pull {
        Pull {
            number: 1,
            url: String::new(),
            state: State::Open,
            draft: false,
            head: Some(sha('a')),
            base: "main".to_owned(),
            base_head: Some(sha('b')),
            report: None,
            busy: None,
        }
    }

    fn green(pull: &Pull) -> Facts<'_> {
        Facts {
            pull: Some(pull),
            pushed: sha('a'),
            heads: &[],
            is_behind: false,
            is_ours_and_more: false,
            demands: Demands::default(),
            merge: Merge::Clean(sha('c')),
            review: Review::Approved,
            check: Check::Green,
            by_hand: false,
            onto: "main",
            base: "origin/main",
        }
    }

    /// Every single doubt keeps an otherwise green pull request from landing.
    #[test]
    fn it_fails_closed() {
        let green_pull = pull();
        assert_eq!(gate(&green(&green_pull)), Verdict::Land(sha('c')));
        let with = |change: &dyn Fn(&mut Facts)| {
            let mut facts = green(&green_pull);
            change(&mut facts);
            gate(&facts)
        };
        let doubts: [&dyn Fn(&mut Facts); 14] = [
            &|f| f.pull = None,
            &|f| f.pushed = sha('d'),
            &|f| f.merge = Merge::Unknown,
            &|f| f.merge = Merge::Conflict("a.txt".to_owned()),
            &|f| f.merge = Merge::Undone("reverted".to_owned()),
            &|f| f.review = Review::NotRun,
            &|f| f.review = Review::Undecided("exit 2".to_owned()),
            &|f| f.review = Review::ForPerson("odd".to_owned()),
            &|f| f.check = Check::NotRun,
            &|f| f.check = Check::Red("no".to_owned()),
            &|f| f.check = Check::RedBase("no".to_owned()),
            &|f| f.check = Check::CannotRun("no".to_owned()),
            &|f| f.check = Check::Later("no".to_owned()),
            &|f| f.by_hand = true,
        ];
        for (at, doubt) in doubts.iter().enumerate() {
            assert!(
                !matches!(with(doubt), Verdict::Land(_) | Verdict::Landed(_)),
                "doubt {at}"
            );
        }
    }

    #[test]
    fn a_pull_request_that_a_person_changed() {
        let verdict = |change: &dyn Fn(&mut Pull)| {
            let mut pull = pull();
            change(&mut pull);
            gate(&green(&pull))
        };
        assert!(matches!(
            verdict(&|p| p.state = State::Closed),
            Verdict::Blocked(_)
        ));
        assert!(matches!(verdict(&|p| p.head = None), Verdict::Blocked(_)));
        assert!(matches!(
            verdict(&|p| p.base_head = None),
            Verdict::Blocked(_)
        ));
        assert!(matches!(
            verdict(&|p| p.head = Some(sha('e'))),
            Verdict::Rework { .. }
        ));
        assert!(matches!(
            verdict(&|p| p.draft = true),
            Verdict::Wait(On::Person, _)
        ));
        let retargeted = |p: &mut Pull| p.base = "release".to_owned();
        assert!(matches!(
            verdict(&retargeted),
            Verdict::Wait(On::Person, why) if why.contains("release")
        ));
        let merged = |head| State::Merged {
            head,
            commit: sha('f'),
        };
        assert_eq!(
            verdict(&|p| p.state = merged(sha('a'))),
            Verdict::Landed(sha('f'))
        );
        assert!(matches!(
            verdict(&|p| p.state = merged(sha('e'))),
            Verdict::Blocked(_)
        ));
        let elsewhere = verdict(&|p| {
            retargeted(p);
            p.state = merged(sha('a'));
        });
        assert!(matches!(elsewhere, Verdict::Blocked(why) if why.contains("release")));
        // With a fix-up on top it is still our work that landed.
        let pull = Pull {
            state: merged(sha('e')),
            ..pull()
        };
        let facts = Facts {
            is_ours_and_more: true,
            ..green(&pull)
        };
        assert_eq!(gate(&facts), Verdict::Landed(sha('f')));
    }

    #[test]
    fn what_was_reverted_waits_for_a_person() {
        for state in [State::Open, State::Closed] {
            let pull = Pull { state, ..pull() };
            let facts = Facts {
                merge: Merge::Undone("reverted".to_owned()),
                ..green(&pull)
            };
            let (Verdict::Wait(On::Person, why) | Verdict::Blocked(why)) = gate(&facts) else {
                panic!("{state:?}");
            };
            assert!(why.contains("reverted"), "{why}");
        }
    }

    #[test]
    fn what_the_forge_is_at_work_on_waits_for_that() {
        for busy in [Busy::Settling, Busy::Queued("queued, place 2".to_owned())] {
            let pull = Pull {
                busy: Some(busy),
                ..pull()
            };
            assert!(matches!(gate(&green(&pull)), Verdict::Wait(On::Machine, _)));
        }
    }

    #[test]
    fn a_base_may_ask_for_more_than_checks_and_reviews() {
        let verdict = |policy: Policy, is_behind: bool, queue: bool| {
            let report = Report {
                author: "agent".to_owned(),
                checks: Ok(Vec::new()),
                reviews: Ok(Vec::new()),
                policy: Ok(policy),
            };
            let pull = Pull {
                report: Some(report),
                ..pull()
            };
            let mut facts = green(&pull);
            facts.is_behind = is_behind;
            facts.demands.queue = queue;
            facts.demands.beside = Beside::OurCheck;
            gate(&facts)
        };
        let unread = Policy {
            unread: Some("forbidden".to_owned()),
            ..Policy::default()
        };
        let held = verdict(unread, false, false);
        assert!(matches!(held, Verdict::Wait(On::Person, why) if why.contains("forbidden")));
        let strict = Policy {
            strict: true,
            ..Policy::default()
        };
        assert_eq!(verdict(strict.clone(), true, false), Verdict::Update);
        let queue = Policy {
            queue: true,
            ..strict
        };
        let held = verdict(queue.clone(), false, false);
        assert!(matches!(held, Verdict::Wait(On::Person, why) if why.contains("--queue")));
        assert_eq!(verdict(queue, true, true), Verdict::Land(sha('c')));
    }

    #[test]
    fn what_the_base_holds_has_landed_however_it_got_there() {
        for state in [State::Open, State::Closed] {
            let pull = Pull {
                state,
                head: None,
                ..pull()
            };
            let facts = Facts {
                merge: Merge::InBase(sha('b')),
                ..green(&pull)
            };
            assert_eq!(gate(&facts), Verdict::Landed(sha('b')));
        }
    }
}
