//! A queue without a clock: what is red is drawn, tests take rounds, and plans are carried out.

mod bounds;
mod chaos;

use std::collections::BTreeSet;

use fastrand::Rng;

use super::{Base, Facts, Plan, Test, Word, rate};

/// What is true of a queue, and what its tests do.
#[derive(Clone)]
struct Setting {
    slots: usize,
    batch: Option<usize>,
    retries: u32,
    /// How often a test is red for no reason
    flakes: f64,
    /// How much the length of a test varies
    jitter: f64,
    is_red: Vec<bool>,
    /// Red together, green apart
    red_pairs: Vec<(usize, usize)>,
    conflicts: Vec<(usize, usize)>,
    /// The base is red until this one is in it
    mender: Option<usize>,
    /// When each comes; at the start if nothing is said
    comes: Vec<f64>,
    /// When somebody else moves the base, last first
    pushes: Vec<f64>,
    /// Each call of the forge lands one
    is_chain: bool,
}

impl Setting {
    fn new(is_red: Vec<bool>) -> Self {
        Self {
            slots: 1,
            batch: None,
            retries: 1,
            flakes: 0.0,
            jitter: 0.0,
            is_red,
            red_pairs: Vec::new(),
            conflicts: Vec::new(),
            mender: None,
            comes: Vec::new(),
            pushes: Vec::new(),
            is_chain: false,
        }
    }
}

/// A group under test, or tested: `Test` with names instead of places.
#[derive(Debug)]
struct Run {
    members: Vec<usize>,
    left_out: Vec<usize>,
    tip: usize,
    /// How many pushes of others were still to come
    pushes: usize,
    ends: f64,
    says: Word,
    word: Word,
}

/// The queue while it is worked on. Pull requests are numbered.
struct World<'a> {
    setting: &'a Setting,
    rng: Rng,
    queue: Vec<usize>,
    outside: Vec<usize>,
    pushes: Vec<f64>,
    runs: Vec<Run>,
    /// Which of the landed were on each tip, and what is known of it
    tips: Vec<(Vec<usize>, Base)>,
    now: f64,
    checks: u32,
    landed: Vec<usize>,
    blamed: Vec<usize>,
    sent_back: Vec<usize>,
}

impl<'a> World<'a> {
    /// Works until nothing is left to do.
    fn run(setting: &'a Setting, rng: Rng) -> Self {
        let (mut outside, queue): (Vec<usize>, Vec<usize>) =
            (0..setting.is_red.len()).partition(|&one| setting.comes.get(one) > Some(&0.0));
        let comes = |&one: &usize| setting.comes[one];
        outside.sort_by(|one, other| comes(other).total_cmp(&comes(one)));
        let mut world = Self {
            setting,
            rng,
            queue,
            outside,
            pushes: setting.pushes.clone(),
            runs: Vec::new(),
            tips: vec![(Vec::new(), Base::Unknown)],
            now: 0.0,
            checks: 0,
            landed: Vec::new(),
            blamed: Vec::new(),
            sent_back: Vec::new(),
        };
        world.settle();
        let enough = 100 * (1 + setting.is_red.len());
        let steps = (0..enough).take_while(|_| world.step()).count();
        assert!(steps < enough, "it never ends: {:?}", world.queue);
        world
    }

    /// Goes on to whatever happens next.
    fn step(&mut self) -> bool {
        let running = self.runs.iter().filter(|run| run.word == Word::Running);
        let ends = running.map(|run| run.ends).min_by(f64::total_cmp);
        let comes = self.outside.last().map(|&one| self.setting.comes[one]);
        let pushed = self.pushes.last().copied();
        let Some(next) = ends
            .into_iter()
            .chain(comes)
            .chain(pushed)
            .min_by(f64::total_cmp)
        else {
            return false;
        };
        self.now = next;
        if self.pushes.pop_if(|push| *push <= next).is_some() {
            self.tips.push((self.landed.clone(), Base::Unknown));
        }
        while let Some(one) = self.outside.pop_if(|one| self.setting.comes[*one] <= next) {
            let place = self.rng.usize(..=self.queue.len());
            self.queue.insert(place, one);
        }
        for run in &mut self.runs {
            if run.word == Word::Running && run.ends <= next + 1e-6 {
                run.word = run.says;
                if run.members.is_empty() {
                    self.tips[run.tip].1 = match run.says {
                        Word::Green => Base::Green,
                        Word::Red | Word::Running => Base::Red,
                    };
                }
            }
        }
        self.settle();
        true
    }

    /// Carries out plans until they ask for nothing more.
    fn settle(&mut self) {
        for _ in 0..1000 {
            self.send_back();
            let tests = self.tests();
            let plan = match self.setting.is_chain {
                true => super::chain(&self.facts(&tests)),
                false => super::plan(&self.facts(&tests)),
            };
            let is_idle = plan.land.is_none()
                && plan.blame.is_empty()
                && plan.test.is_empty()
                && plan.stop.is_empty();
            if is_idle {
                return;
            }
            self.carry_out(&plan, &tests);
        }
        panic!("a plan that never ends: {:?}", self.queue);
    }

    fn facts<'b>(&self, tests: &'b [Test]) -> Facts<'b> {
        Facts {
            queue: self.queue.len(),
            tests,
            base: self.base(),
            slots: self.setting.slots,
            batch: self.setting.batch,
            rate: rate(self.blamed.len() as u64, self.landed.len() as u64),
        }
    }

    fn base(&self) -> Base {
        self.tips[self.tips.len() - 1].1
    }

    fn tests(&self) -> Vec<Test> {
        let mut places = vec![None; self.setting.is_red.len()];
        for (place, &one) in self.queue.iter().enumerate() {
            places[one] = Some(place);
        }
        let here = |ones: &[usize]| {
            let mut here: Vec<usize> = ones.iter().filter_map(|&one| places[one]).collect();
            here.sort_unstable();
            here
        };
        let tests = self.runs.iter().map(|run| Test {
            members: here(&run.members),
            size: run.members.len(),
            left_out: here(&run.left_out),
            word: run.word,
            is_current: self.is_current(run),
            base: self.tips[run.tip].1,
        });
        tests.collect()
    }

    /// Whether it ran on this tip; for a chain also if what left it is what landed since.
    fn is_current(&self, run: &Run) -> bool {
        let since: BTreeSet<usize> = self.landed[self.tips[run.tip].0.len()..]
            .iter()
            .copied()
            .collect();
        let gone = |one: &&usize| !self.queue.contains(one);
        let gone: BTreeSet<usize> = run.members.iter().filter(gone).copied().collect();
        match self.setting.is_chain {
            true => since == gone && run.pushes == self.pushes.len(),
            false => run.tip + 1 == self.tips.len(),
        }
    }

    fn carry_out(&mut self, plan: &Plan, tests: &[Test]) {
        let names = |places: &[usize]| -> Vec<usize> {
            places.iter().map(|&place| self.queue[place]).collect()
        };
        let blamed = names(&plan.blame);
        let groups: Vec<Vec<usize>> = plan.test.iter().map(|group| names(group)).collect();
        let lands = plan.land.map_or(Vec::new(), |index| {
            assert!(tests[index].word == Word::Green && tests[index].is_current);
            names(&tests[index].members)
        });
        for &one in &blamed {
            assert!(!lands.contains(&one));
            self.judge(one);
        }
        for &index in &plan.stop {
            assert_eq!(tests[index].word, Word::Running);
        }
        let mut index = 0;
        self.runs.retain(|_| {
            index += 1;
            !plan.stop.contains(&(index - 1))
        });
        if !lands.is_empty() {
            assert!(!self.is_bad(&lands, &self.landed));
            self.landed.extend(&lands);
            self.tips.push((self.landed.clone(), Base::Green));
        }
        self.queue
            .retain(|one| !lands.contains(one) && !blamed.contains(one));
        self.runs.retain(|run| {
            run.word != Word::Red || !run.members.iter().any(|one| blamed.contains(one))
        });
        self.blamed.extend(blamed);
        for group in groups {
            self.start(&group);
        }
        let queue = &self.queue;
        self.runs.retain(|run| {
            run.word == Word::Running || run.members.iter().any(|one| queue.contains(one))
        });
        let running = self.runs.iter().filter(|run| run.word == Word::Running);
        assert!(running.count() <= self.setting.slots);
    }

    /// Nobody is blamed for others.
    fn judge(&self, one: usize) {
        let is_so = self.setting.flakes > 0.0 || self.is_bad(&[one], &self.landed);
        assert!(is_so, "{one} is blamed");
    }

    /// Whoever conflicts with the base itself goes back to its agent.
    fn send_back(&mut self) {
        let landed = &self.landed;
        let is_in = |one: &usize| {
            landed
                .iter()
                .any(|other| self.setting.conflict(*one, *other))
        };
        let (back, stays) = self.queue.iter().partition(|one| is_in(one));
        self.queue = stays;
        self.sent_back.extend::<Vec<usize>>(back);
    }

    fn start(&mut self, group: &[usize]) {
        let mut members: Vec<usize> = Vec::new();
        let mut left_out = Vec::new();
        for &one in group {
            assert!(self.queue.contains(&one) && !members.contains(&one));
            match members
                .iter()
                .any(|other| self.setting.conflict(one, *other))
            {
                true => left_out.push(one),
                false => members.push(one),
            }
        }
        assert!(members.len() <= self.setting.batch.unwrap_or(usize::MAX));
        let is_bad = self.is_bad(&members, &self.landed);
        let tries = match members.len() {
            0 | 1 => 1 + self.setting.retries,
            _ => 1,
        };
        let mut ends = self.now;
        let mut says = Word::Red;
        for _ in 0..tries {
            self.checks += 1;
            ends += 1.0 + self.setting.jitter * (self.rng.f64() - 0.5);
            if !is_bad && self.rng.f64() >= self.setting.flakes {
                says = Word::Green;
                break;
            }
        }
        self.runs.push(Run {
            members,
            left_out,
            tip: self.tips.len() - 1,
            pushes: self.pushes.len(),
            ends,
            says,
            word: Word::Running,
        });
    }

    /// Whether they are red, on top of what has landed.
    fn is_bad(&self, members: &[usize], landed: &[usize]) -> bool {
        let setting = self.setting;
        let has = |one: usize| members.contains(&one) || landed.contains(&one);
        members.iter().any(|&one| setting.is_red[one])
            || setting
                .red_pairs
                .iter()
                .any(|&(one, two)| has(one) && has(two))
            || setting.mender.is_some_and(|mender| !has(mender))
    }
}

impl Setting {
    fn conflict(&self, one: usize, two: usize) -> bool {
        self.conflicts.contains(&(one, two)) || self.conflicts.contains(&(two, one))
    }
}
