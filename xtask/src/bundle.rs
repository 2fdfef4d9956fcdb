//! `target/bundle`: what to copy to a machine with a GPU that has neither Rust nor a CUDA toolkit.

use crate::{
    elf,
    process::{cargo, output, root},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds the release program, checks that it starts without a driver, and puts it together with bench's scripts.
pub(crate) fn make() -> Result<()> {
    println!("$ cargo build --release -p outerscale");
    let mut build = cargo(["build", "--release", "-p", "outerscale", "--message-format=json-render-diagnostics"])?;
    build.stderr(std::process::Stdio::inherit());
    let program = executable(&output(&mut build)?).context("cargo built no program named outerscale")?;

    let image = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    let libraries = elf::needed(&image).with_context(|| program.display().to_string())?;
    let linked = libraries.iter().find(|name| name.starts_with("libcuda"));
    ensure!(linked.is_none(), "the program is linked to {}: it would not start without it", linked.map_or("", |n| n));

    let bundle = root()?.join("target/bundle");
    let part = bundle.with_extension("part");
    for folder in [&part, &bundle] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot replace {}", folder.display()))?;
        }
    }
    fs::create_dir_all(&part)?;
    fs::copy(&program, part.join("outerscale"))?;
    let scripts = scripts(&root()?.join("bench"))?;
    for script in &scripts {
        fs::copy(script, part.join(script.file_name().unwrap_or_default()))?;
    }
    // A record names the commit; the machine that measures has no repository.
    let described =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).current_dir(root()?).output();
    if let Some(commit) = described.ok().filter(|git| git.status.success()) {
        fs::write(part.join("commit"), commit.stdout)?;
    }
    fs::rename(&part, &bundle)?;
    println!("bundle: outerscale and {} scripts in target/bundle; it needs {}", scripts.len(), libraries.join(", "));
    Ok(())
}

/// The program's path in cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(|message| {
        let is_program = message["reason"] == "compiler-artifact" && message["target"]["name"] == "outerscale";
        message["executable"].as_str().filter(|_| is_program).map(PathBuf::from)
    })
}

/// The scripts directly in a folder.
fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_script = |path: &PathBuf| path.extension().is_some_and(|end| end == "py" || end == "sh");
    let mut scripts: Vec<PathBuf> = entries.into_iter().filter(is_script).collect();
    scripts.sort();
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"outerscale\"},\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"outerscale\"},\"executable\":\"/t/outerscale\"}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/outerscale")));
        assert_eq!(executable("{\"reason\":\"build-finished\"}"), None);
    }
}
