//! What reviewers say of single places: only GraphQL tells what is resolved.

use anyhow::anyhow;

use super::GitHub;
use crate::pull::Wanted;
use crate::report::Remark;
use crate::unread::Unread;

const THREADS: &str = "query threads($owner: String!, $name: String!, $number: Int!) { \
    repository(owner: $owner, name: $name) { pullRequest(number: $number) { \
      reviewThreads(last: 100) { nodes { isResolved path line \
        comments(first: 20) { nodes { body author { login } } } } } } } }";

impl GitHub {
    /// The comments of one reviewer in threads that are not resolved: of the last hundred threads, of
    /// each the first twenty.
    pub(super) fn threads(&self, wanted: &Wanted, by: &str) -> anyhow::Result<Vec<Remark>> {
        let pull = self.of_pull(THREADS, wanted)?;
        let threads = pull["reviewThreads"]["nodes"].as_array();
        let unread = || Unread::of(anyhow!("GitHub does not say what {by} remarks"));
        let mut remarks = Vec::new();
        for thread in threads.ok_or_else(unread)? {
            let comments = thread["comments"]["nodes"].as_array();
            let theirs = comments.into_iter().flatten();
            let theirs = theirs.filter(|comment| comment["author"]["login"] == by);
            if thread["isResolved"] == true {
                continue;
            }
            remarks.extend(theirs.map(|comment| Remark {
                path: thread["path"].as_str().unwrap_or_default().to_owned(),
                line: thread["line"].as_u64(),
                words: comment["body"].as_str().unwrap_or_default().to_owned(),
            }));
        }
        Ok(remarks)
    }
}
