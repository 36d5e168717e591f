//! What git is kept from: variables that lead it elsewhere, programs that agents may name, and the
//! secrets of a person where an agent has named the remote.

/// Who has named a remote that git speaks to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Namer {
    /// The base of the work, or it is on the host of the clone's own remote.
    Base,
    /// An agent.
    Agent,
}

/// What a person keeps for hosts, whichever they are: none of it is for one that an agent names.
pub(crate) const NO_SECRETS: [&str; 3] =
    ["credential.helper=", "http.extraHeader=", "core.askPass="];

/// What an environment may not decide for us.
pub(crate) const SCRUBBED: [&str; 13] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_EDITOR",
    "GIT_EXTERNAL_DIFF",
    "GIT_REPLACE_REF_BASE",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
];

/// Programs that git starts beside hooks and filters: none where agents write.
pub(crate) const NO_PROGRAMS: [&str; 5] = [
    "core.fsmonitor=false",
    "core.sshCommand=false",
    "core.pager=cat",
    "core.editor=false",
    "sequence.editor=false",
];
