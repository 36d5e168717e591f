//! The names of branches: some come from a record that anybody may have written.

use anyhow::ensure;
use gix::refs::FullName;

/// Refuses a name that git would not take for a branch, or would take for a flag, and the base.
///
/// # Errors
/// Says which of them it is.
pub fn require_branch(name: &str, base: &str) -> anyhow::Result<()> {
    let is_branch = !name.starts_with('-')
        && name != "HEAD"
        && FullName::try_from(format!("refs/heads/{name}")).is_ok();
    ensure!(is_branch, "its branch '{name}' is no name of a branch");
    ensure!(name != base, "its branch {name} is the base");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_no_path_and_not_the_base() {
        assert!(require_branch("agent/t-1", "main").is_ok());
        for name in [
            "", "-f", "--all", "../x", "a b", "a..b", "@{-1}", "x.lock", "a\nb", "HEAD", "main",
        ] {
            assert!(require_branch(name, "main").is_err(), "{name}");
        }
    }
}
