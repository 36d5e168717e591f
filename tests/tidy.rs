//! The rules of the house that a reader may rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::stage::{command, root, test};

/// The folders in their order, each with the noun that it lends.
const FOLDERS: [(&str, &str); 6] = [
    ("bd-ready", "beads"),
    ("wt-spawn", "git"),
    ("agent-run", "agent"),
    ("pr-open", "forge"),
    ("pr-merge", ""),
    ("orch-status", ""),
];

/// What the top of the tree shows.
const TOP: [&str; 13] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "agent-run",
    "bd-ready",
    "justfile",
    "orch-status",
    "pr-merge",
    "pr-open",
    "tests",
    "wt-spawn",
];

/// The top of the tree is what users were promised, and nothing else that shows.
fn the_top() {
    let listed = command("git")
        .args(["ls-files"])
        .current_dir(root())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let shown: BTreeSet<&str> = listed
        .lines()
        .map(|path| path.split('/').next().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), TOP);
}

/// The arrows point leftwards: no manifest names a noun of its own or of a later folder.
fn the_arrows() {
    for (at, (folder, _)) in FOLDERS.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        for (_, noun) in &FOLDERS[at..] {
            assert!(
                noun.is_empty() || !manifest.contains(&format!("\n{noun}.workspace")),
                "{folder} uses {noun}"
            );
        }
    }
}

/// All Rust files below a folder, but those below `without`.
fn sources(dir: &Path, without: &[&Path]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !without.contains(&path.as_path()) {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// No file of the programs is longer than a reader can hold in mind.
fn lengths() {
    for (folder, _) in FOLDERS {
        for path in sources(&root().join(folder).join("src"), &[]) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 400, "{} has {lines} lines", path.display());
        }
    }
}

/// A module by its path in its crate; the root's is empty.
type Module = Vec<String>;

/// The modules of one crate, and which others each of them names.
fn modules(dir: &Path, files: &[PathBuf]) -> BTreeMap<Module, BTreeSet<Module>> {
    let of = |file: &PathBuf| -> Module {
        let path = file.strip_prefix(dir).unwrap().with_extension("");
        path.iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .filter(|part| !["lib", "main"].contains(&part.as_str()))
            .collect()
    };
    let known: BTreeSet<Module> = files.iter().map(of).collect();
    let uses = |file: &PathBuf| {
        let module = of(file);
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        named(&module, code)
            .iter()
            .filter_map(|path| {
                (0..=path.len())
                    .rev()
                    .map(|to| path[..to].to_vec())
                    .find(|path| known.contains(path))
            })
            // A module and what lies in it are one room.
            .filter(|other| !other.starts_with(&module) && !module.starts_with(other))
            .collect()
    };
    files.iter().map(|file| (of(file), uses(file))).collect()
}

/// The paths that a module's code names by `crate::` and `super::`, braces resolved.
fn named(module: &Module, code: &str) -> Vec<Module> {
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let above = module[..module.len().saturating_sub(1)].to_vec();
    let mut paths = Vec::new();
    for (word, base) in [("crate::", Module::new()), ("super::", above)] {
        for (at, _) in code.match_indices(word) {
            let rest = &code[at + word.len()..];
            let path: Module = base.iter().cloned().chain(words(rest)).collect();
            let after = rest.trim_start_matches(|c: char| c.is_alphanumeric() || "_:".contains(c));
            if let Some(braced) = after.strip_prefix('{') {
                let braced = braced.split('}').next().unwrap();
                let items = braced.split(',').map(|item| words(item.trim()));
                paths.extend(items.map(|item| path.iter().cloned().chain(item).collect()));
            }
            paths.push(path);
        }
    }
    paths
}

/// The words of the path that a text begins with.
fn words(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
    let path = text[..end.unwrap_or(text.len())].split("::");
    let words = path.filter(|word| !word.is_empty());
    words.map(ToString::to_string).collect()
}

/// All modules that one leads to, step by step.
fn reached<'a>(
    from: &'a Module,
    uses: &'a BTreeMap<Module, BTreeSet<Module>>,
) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Module> = uses[from].iter().collect();
    while let Some(module) = open.pop() {
        if found.insert(module) {
            open.extend(&uses[module]);
        }
    }
    found
}

/// No two modules of a crate lead to each other: each can be read with what it uses alone.
fn no_circles() {
    let mut crates: Vec<(PathBuf, Vec<PathBuf>)> = Vec::new();
    for (folder, noun) in FOLDERS {
        let src = root().join(folder).join("src");
        let (lib, bin) = (src.join(noun), src.join("bin"));
        // Without a noun, `lib` is `src` itself.
        crates.push((src.clone(), sources(&src, &[&lib, &bin])));
        if !noun.is_empty() {
            crates.push((lib.clone(), sources(&lib, &[])));
        }
        for entry in fs::read_dir(&bin).into_iter().flatten() {
            let dir = entry.unwrap().path();
            if dir.is_dir() {
                crates.push((dir.clone(), sources(&dir, &[])));
            }
        }
    }
    for (dir, files) in crates {
        let uses = modules(&dir, &files);
        assert!(uses.contains_key(&Module::new()), "{}", dir.display());
        let circle: Vec<String> = uses
            .keys()
            .filter(|module| reached(module, &uses).contains(module))
            .map(|module| module.join("/"))
            .collect();
        assert!(circle.is_empty(), "{}: {circle:?}", dir.display());
    }
}

/// As the package names it; of one that only has a file, the file's first words.
fn licence(package: &Value) -> String {
    if let Some(named) = package["license"].as_str() {
        return named.to_owned();
    }
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let file = package["license_file"].as_str().unwrap_or("LICENSE");
    let text = fs::read_to_string(manifest.with_file_name(file)).unwrap_or_default();
    let title = text.lines().next().unwrap_or_default();
    title.trim_end_matches(" License").to_owned()
}

/// Licences that a user of ours may be bound by.
const LICENCES: [&str; 12] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "0BSD",
    "Unlicense",
];

/// Every dependency comes from the registry, pinned by the lock file, under a licence we may use.
fn dependencies_are_in_order() {
    let metadata = command("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50);
    for package in packages
        .iter()
        .filter(|package| !package["source"].is_null())
    {
        let (name, source) = (&package["name"], package["source"].as_str().unwrap());
        assert!(
            source.starts_with("registry+"),
            "{name} comes from {source}"
        );
        let licence = licence(package);
        // `A OR B`, `A/B`: one that we may use is enough; `A AND B`: all of them.
        let fine = licence
            .replace(['(', ')'], "")
            .replace('/', " OR ")
            .split(" OR ")
            .any(|one| {
                one.split(" AND ").all(|one| {
                    LICENCES.contains(&one.trim().trim_end_matches(" WITH LLVM-exception"))
                })
            });
        assert!(fine, "{name} is under {licence}");
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("house: the top of the tree is what was promised", the_top),
        test("house: the arrows point leftwards", the_arrows),
        test("house: no two modules lead to each other", no_circles),
        test("house: no file is longer than 400 lines", lengths),
        test(
            "house: dependencies come from the registry, under fitting licences",
            dependencies_are_in_order,
        ),
    ]
}
