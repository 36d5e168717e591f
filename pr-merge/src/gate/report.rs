//! What a forge's report comes to: a part of the gate, as pure as that.

use forge::{Check, Name, Report, Reviewed, Stand};

use crate::gate::facts::{Beside, Facts};
use crate::gate::verdict::{On, Verdict};

/// What keeps a head from landing, if anything does.
pub(crate) fn judge(report: &Report, facts: &Facts) -> Option<Verdict> {
    reviews(report, facts).or_else(|| checks(report, facts))
}

fn reviews(report: &Report, facts: &Facts) -> Option<Verdict> {
    let person = |why: String| Some(Verdict::Wait(On::Person, why));
    let policy = match &report.policy {
        Ok(policy) => policy,
        Err(why) => return person(format!("what its base asks for cannot be read: {why}")),
    };
    let reviews = match &report.reviews {
        Ok(reviews) => reviews,
        Err(why) => return person(format!("its reviews cannot be read: {why}")),
    };
    let seen = |commit: Option<git::Sha>| commit.is_some_and(|at| facts.heads.contains(&at));
    let wants_changes = reviews
        .iter()
        .filter(|review| review.says == Reviewed::ChangesWanted);
    let (new, told): (Vec<_>, Vec<_>) = wants_changes.partition(|review| seen(review.commit));
    // All of them at once: of the next head they have seen nothing.
    if !new.is_empty() {
        let new = new.into_iter().cloned().collect();
        return Some(Verdict::ChangesWanted(new));
    }
    // Its agent has worked on it since.
    if let Some(review) = told.first() {
        return person(format!(
            "{} wanted changes, and has not looked again",
            review.by
        ));
    }
    let wanted = policy.approvals.max(facts.demands.approvals);
    let approved = reviews
        .iter()
        .filter(|review| review.by != report.author && seen(review.commit))
        .count();
    let lacks = u64::try_from(approved).is_ok_and(|approved| approved < wanted);
    lacks.then(|| {
        let why = format!("it needs {wanted} approval(s) of its head, and has {approved}");
        Verdict::Wait(On::Person, why)
    })
}

fn checks(report: &Report, facts: &Facts) -> Option<Verdict> {
    let machine = |why: String| Some(Verdict::Wait(On::Machine, why));
    let demands = &facts.demands;
    let ours = demands.require.iter().cloned().map(Name::Is);
    let theirs = report.policy.iter().flat_map(|policy| &policy.required);
    let required: Vec<Name> = theirs.cloned().chain(ours).collect();
    if required.is_empty() && demands.beside == Beside::Everybody {
        return None;
    }
    let all = match &report.checks {
        Ok(all) => all,
        Err(why) => return machine(format!("its checks cannot be read: {why}")),
    };
    // Where nothing is named, all that reports has to pass.
    let counts =
        |check: &&Check| required.is_empty() || required.iter().any(|name| name.fits(check));
    let counted: Vec<&Check> = all.iter().filter(counts).collect();
    let names = |stand: Stand| -> Vec<&str> {
        let these = counted.iter().filter(|check| check.stand == stand);
        these.map(|check| check.name.as_str()).collect()
    };
    let failed = names(Stand::Failed);
    if !failed.is_empty() {
        let red = counted.iter().filter(|check| check.stand == Stand::Failed);
        let said: Vec<String> = red
            .map(|check| format!("- {}: {} {}", check.name, check.words, check.url))
            .collect();
        return Some(Verdict::Rework {
            why: format!("checks failed: {}", failed.join(", ")),
            feedback: format!(
                "These checks failed on your work. Merge {} into your branch first, then put it \
                 right:\n{}",
                facts.base,
                said.join("\n")
            ),
        });
    }
    // Before its checks end: they would have to run again.
    let (strict, queue) = match &report.policy {
        Ok(policy) => (policy.strict, policy.queue && demands.queue),
        Err(_) => (false, false),
    };
    // A merge queue has the merge itself checked.
    if facts.is_behind && !queue && (strict || demands.beside == Beside::Nobody) {
        return Some(Verdict::Update);
    }
    let pending = names(Stand::Pending);
    if !pending.is_empty() {
        return machine(format!("checks run: {}", pending.join(", ")));
    }
    let missing: Vec<&str> = required
        .iter()
        .filter(|name| !counted.iter().any(|check| name.fits(check)))
        .map(Name::text)
        .collect();
    if !missing.is_empty() {
        return machine(format!("checks have not reported: {}", missing.join(", ")));
    }
    let passed = !names(Stand::Passed).is_empty();
    if !passed && (!counted.is_empty() || demands.beside == Beside::Nobody) {
        return machine(match counted.is_empty() {
            true => "no check has reported to the forge".to_owned(),
            false => "all its checks were skipped".to_owned(),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use forge::{Policy, Pull, Review, State};
    use git::Sha;

    use super::*;
    use crate::gate::facts::{self, Demands, Merge};
    use crate::gate::gate;

    fn sha(digit: char) -> Sha {
        Sha::from_hex(digit.to_string().repeat(40).as_bytes()).expect("hexadecimal")
    }

    fn check(name: &str, stand: Stand) -> Check {
        Check {
            name: name.to_owned(),
            stand,
            words: "words".to_owned(),
            url: String::new(),
        }
    }

    fn review(by: &str, says: Reviewed, commit: char) -> Review {
        Review {
            by: by.to_owned(),
            says,
            commit: Some(sha(commit)),
            words: "because".to_owned(),
        }
    }

    fn green() -> Report {
        Report {
            author: "agent".to_owned(),
            checks: Ok(vec![check("ci", Stand::Passed)]),
            reviews: Ok(vec![review("ann", Reviewed::Approved, 'a')]),
            policy: Ok(Policy {
                required: vec![Name::Like("c*".to_owned())],
                approvals: 1,
                ..Policy::default()
            }),
        }
    }

    /// The gate's verdict on a pull request with this report.
    fn verdict(report: Report, require: &[String], change: impl Fn(&mut Facts)) -> Verdict {
        let pull = Pull {
            number: 1,
            url: String::new(),
            state: State::Open,
            draft: false,
            head: Some(sha('a')),
            base: "main".to_owned(),
            base_head: Some(sha('b')),
            report: Some(report),
            busy: None,
        };
        let mut facts = Facts {
            pull: Some(&pull),
            pushed: sha('a'),
            heads: &[sha('a')],
            is_behind: false,
            is_ours_and_more: false,
            demands: Demands {
                require,
                ..Demands::default()
            },
            merge: Merge::Clean(sha('c')),
            review: facts::Review::NotAsked,
            check: facts::Check::NotAsked,
            by_hand: false,
            onto: "main",
            base: "origin/main",
        };
        change(&mut facts);
        gate(&facts)
    }

    fn waits(verdict: &Verdict, words: &str) -> bool {
        matches!(verdict, Verdict::Wait(_, why) if why.contains(words))
    }

    #[test]
    fn a_green_report_lands() {
        assert_eq!(verdict(green(), &[], |_| {}), Verdict::Land(sha('c')));
    }

    #[test]
    fn what_is_unknown_is_not_green() {
        let why = || "forbidden".to_owned();
        let no_checks = Report {
            checks: Err(why()),
            ..green()
        };
        let no_reviews = Report {
            reviews: Err(why()),
            ..green()
        };
        let no_policy = Report {
            policy: Err(why()),
            ..green()
        };
        for report in [no_checks, no_reviews, no_policy] {
            assert!(waits(
                &verdict(report, &[], |_| {}),
                "cannot be read: forbidden"
            ));
        }
    }

    #[test]
    fn every_required_check_must_have_passed() {
        let with = |checks: &[Check]| {
            let report = Report {
                checks: Ok(checks.to_vec()),
                ..green()
            };
            verdict(report, &[], |_| {})
        };
        assert!(waits(&with(&[]), "have not reported: c*"));
        assert!(waits(
            &with(&[check("x", Stand::Passed)]),
            "have not reported: c*"
        ));
        assert!(waits(
            &with(&[check("ci", Stand::Pending)]),
            "checks run: ci"
        ));
        assert!(waits(
            &with(&[check("ci", Stand::Skipped)]),
            "all its checks were skipped"
        ));
        assert!(matches!(
            with(&[check("ci", Stand::Passed), check("cd", Stand::Failed)]),
            Verdict::Rework { why, .. } if why == "checks failed: cd"
        ));
        // What the base does not ask for does not count beside what it asks for.
        let other = [check("ci", Stand::Passed), check("x", Stand::Failed)];
        assert_eq!(with(&other), Verdict::Land(sha('c')));
        let other = [check("ci", Stand::Passed), check("cd", Stand::Skipped)];
        assert_eq!(with(&other), Verdict::Land(sha('c')));
    }

    #[test]
    fn what_we_require_counts_beside_what_the_base_asks_for() {
        let require = ["lint".to_owned()];
        let verdict = verdict(green(), &require, |_| {});
        assert!(waits(&verdict, "have not reported: lint"));
    }

    #[test]
    fn without_a_name_all_that_reports_must_pass_and_something_must_report() {
        let report = |checks: &[Check]| Report {
            checks: Ok(checks.to_vec()),
            policy: Ok(Policy::default()),
            ..green()
        };
        let beside = |beside| move |facts: &mut Facts| facts.demands.beside = beside;
        let none = verdict(report(&[]), &[], |_| {});
        assert!(waits(&none, "no check has reported"), "{none:?}");
        let mixed = [check("a", Stand::Passed), check("b", Stand::Pending)];
        assert!(waits(
            &verdict(report(&mixed), &[], |_| {}),
            "checks run: b"
        ));
        assert_eq!(
            verdict(report(&[]), &[], beside(Beside::OurCheck)),
            Verdict::Land(sha('c'))
        );
        let red = [check("a", Stand::Failed)];
        assert!(matches!(
            verdict(report(&red), &[], beside(Beside::OurCheck)),
            Verdict::Rework { .. }
        ));
        assert_eq!(
            verdict(report(&red), &[], beside(Beside::Everybody)),
            Verdict::Land(sha('c'))
        );
    }

    #[test]
    fn an_approval_counts_for_the_head_it_was_given() {
        let with = |reviews: &[Review]| {
            let report = Report {
                reviews: Ok(reviews.to_vec()),
                ..green()
            };
            verdict(report, &[], |_| {})
        };
        assert!(waits(
            &with(&[]),
            "needs 1 approval(s) of its head, and has 0"
        ));
        assert!(waits(
            &with(&[review("ann", Reviewed::Approved, 'd')]),
            "has 0"
        ));
        // Nobody approves their own work.
        assert!(waits(
            &with(&[review("agent", Reviewed::Approved, 'a')]),
            "has 0"
        ));
        let more = |facts: &mut Facts| facts.demands.approvals = 2;
        assert!(waits(&verdict(green(), &[], more), "needs 2"));
    }

    #[test]
    fn a_reviewer_who_wants_changes_is_heard_once() {
        let wants = |commit| Report {
            reviews: Ok(vec![
                review("ann", Reviewed::Approved, 'a'),
                review("bob", Reviewed::ChangesWanted, commit),
            ]),
            ..green()
        };
        let sent_back = verdict(wants('a'), &[], |_| {});
        let bob = review("bob", Reviewed::ChangesWanted, 'a');
        assert_eq!(sent_back, Verdict::ChangesWanted(vec![bob]));
        assert!(waits(
            &verdict(wants('d'), &[], |_| {}),
            "bob wanted changes"
        ));
    }

    #[test]
    fn what_only_the_forge_has_checked_must_hold_the_base() {
        let behind = |beside| {
            move |facts: &mut Facts| {
                facts.is_behind = true;
                facts.demands.beside = beside;
            }
        };
        assert_eq!(
            verdict(green(), &[], behind(Beside::Nobody)),
            Verdict::Update
        );
        for beside in [Beside::OurCheck, Beside::Everybody] {
            assert_eq!(
                verdict(green(), &[], behind(beside)),
                Verdict::Land(sha('c'))
            );
        }
    }
}
