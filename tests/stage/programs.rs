//! The programs that are tested, those that tests need, and the sizes of tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use libtest_mimic::{Failed, Trial};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;

/// The folder with the programs, built once, in the profile of this test.
pub(crate) static BIN: LazyLock<PathBuf> = LazyLock::new(|| {
    let exe = std::env::current_exe().unwrap();
    // target/<profile>/deps/main-…
    let bin = exe.ancestors().nth(2).unwrap().to_owned();
    let mut build = command("cargo");
    build
        .args(["build", "--quiet", "--locked", "--workspace", "--bins"])
        .current_dir(root());
    // What cargo says of the package whose test this is would make it build ring, and all above it,
    // anew: here, and again in the next run.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&*name);
        }
    }
    if bin.ends_with("release") {
        build.arg("--release");
    }
    assert!(
        build.status().unwrap().success(),
        "the programs cannot be built"
    );
    bin
});

/// The top of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "starts every child of the tests")]
pub(crate) fn command(program: &str) -> Command {
    Command::new(program)
}

/// Catches, and does nothing with, the signals that these tests were started to ignore, as by `nohup`
/// or by `&` in a script: programs inherit what is ignored, and start with the default of what is
/// caught.
pub(crate) fn heed_signals() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        if ignored & (1 << (signal - 1)) != 0 {
            flag::register(signal, Arc::default()).unwrap();
        }
    }
}

/// A test by name.
pub(crate) fn test(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        run();
        Ok::<(), Failed>(())
    })
}

/// A test that needs a program; ignored, and saying how to get it, where that is missing. Where
/// `BEADLINE_ALL` is set nothing is ignored: what is missing makes the test fail.
pub(crate) fn test_with(
    part: &str,
    recipe: &str,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Trial {
    let there = std::env::split_paths(&path()).any(|dir| dir.join(part).is_file());
    match there || std::env::var_os("BEADLINE_ALL").is_some() {
        true => test(name, run),
        false => test(&format!("{name} [needs {part}: {recipe}]"), || {}).with_ignored_flag(true),
    }
}

/// Our PATH, with what `tests/parts.sh` has installed.
pub(crate) fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}/bin:{path}", parts().display())
}

/// The folder that `tests/parts.sh` installs into.
pub(crate) fn parts() -> PathBuf {
    let of = |name| std::env::var(name).ok();
    let home = || Some(of("XDG_CACHE_HOME").unwrap_or(of("HOME")? + "/.cache") + "/beadline");
    of("BEADLINE_PARTS")
        .or_else(home)
        .unwrap_or_default()
        .into()
}

/// What big counts are multiplied with: 1 in an ordinary run, 10 in `just stress`.
pub(crate) fn scale() -> usize {
    std::env::var("BEADLINE_STRESS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1)
}

/// The seed of everything random: `SEED`, else a fixed one. Printed with each failure.
pub(crate) fn seed() -> u64 {
    std::env::var("SEED")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_261_123)
}
