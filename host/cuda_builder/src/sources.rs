//! Which files a module was made of: what cargo must watch for the outer build.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// The files of a module: the sources that the dep-info names (but those of `sysroot`), the manifests above them up to
/// the workspace's, its lock file and its cargo configuration.
pub(crate) fn of(dep_info: &Path, workspace: &Path, sysroot: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = parse(&fs::read_to_string(dep_info)?);
    let mut files: BTreeSet<PathBuf> = listed.into_iter().filter(|file| !file.starts_with(sysroot)).collect();
    let mut manifests = BTreeSet::new();
    for source in &files {
        let folders = source.ancestors().skip(1).take_while(|folder| folder.starts_with(workspace));
        manifests.extend(folders.map(|folder| folder.join("Cargo.toml")));
    }
    for name in ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"] {
        manifests.insert(workspace.join(name));
    }
    // Cargo takes a watched file that is missing for changed.
    files.extend(manifests.into_iter().filter(|file| file.is_file()));
    Ok(files.into_iter().collect())
}

/// The prerequisites in a make rule, in which `\ ` is a space within a name.
fn parse(dep_info: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in dep_info.lines() {
        let Some((_, names)) = line.split_once(": ") else { continue };
        let mut name = String::new();
        let mut chars = names.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&' ') => name.extend(chars.next()),
                ' ' => found.push(std::mem::take(&mut name)),
                c => name.push(c),
            }
        }
        found.push(name);
    }
    found.into_iter().filter(|name| !name.is_empty()).map(PathBuf::from).collect()
}

/// The folder of the workspace that a crate belongs to; its own where it belongs to none.
pub(crate) fn workspace_of(crate_dir: &Path) -> PathBuf {
    let is_workspace = |folder: &&Path| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        manifest.lines().any(|line| line.trim() == "[workspace]")
    };
    crate_dir.ancestors().find(is_workspace).unwrap_or(crate_dir).to_owned()
}

/// The package's name in its manifest.
pub(crate) fn package_name(manifest: &str) -> Option<String> {
    let package = manifest.lines().skip_while(|line| line.trim() != "[package]").skip(1);
    let mut package = package.take_while(|line| !line.trim_start().starts_with('['));
    package.find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "name").then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_is_read() {
        let text = "/t/libk.a: /w/a.rs /w/with\\ space/b.rs\n/t/libk.rlib: /w/c.rs\n\n";
        assert_eq!(parse(text), ["/w/a.rs", "/w/with space/b.rs", "/w/c.rs"].map(PathBuf::from));
    }

    #[test]
    fn the_package_is_named_in_its_own_section() {
        let manifest =
            "[lib]\nname = \"other\"\n[package]\nversion = \"1.0.0\"\nname = \"kern\"\n[dependencies]\nname = \"x\"\n";
        assert_eq!(package_name(manifest).as_deref(), Some("kern"));
        assert_eq!(package_name("[workspace]\n"), None);
    }
}
