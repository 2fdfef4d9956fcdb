//! Answers that are kept, with tools of our own that write down each time they are asked.

use super::{Ptxas, PtxasError};
use crate::NvvmArch;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

/// A tool that notes its call. As ptxas it makes module.cubin and reports an entry named by the text and the architecture, as
/// nvdisasm it gives back that text.
fn script(at: &Path, log: &Path, more: &str) {
    let text = format!(
        "#!/bin/sh\necho asked >> '{}'\n{more}\nif [ -e module.ptx ]; then cp module.ptx module.cubin; \
         echo \"ptxas info : Compiling entry function '$(cat module.ptx)$3'\" >&2; \
         else echo '//--- .text.of'; cat module.cubin; fi\n",
        log.display()
    );
    fs::write(at, text).unwrap();
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        place.tool("ptxas", "");
        place.tool("nvdisasm", "");
        place
    }

    fn tool(&self, name: &str, more: &str) {
        script(&self.folder.path().join(name), &self.folder.path().join(format!("{name}.log")), more);
    }

    /// The tools as another process finds them.
    fn tools(&self) -> Ptxas {
        let at = |name: &str| self.folder.path().join(name);
        let (release, version) = ((13, 0), "13.0.1".to_owned());
        let tools = Ptxas { ptxas: at("ptxas"), nvdisasm: Some(at("nvdisasm")), release, version, kept: None };
        tools.keeping_in(&at("kept")).unwrap()
    }

    /// How often ptxas and nvdisasm were asked.
    fn asked(&self) -> (usize, usize) {
        let lines = |name: &str| fs::read_to_string(self.folder.path().join(name)).map_or(0, |log| log.lines().count());
        (lines("ptxas.log"), lines("nvdisasm.log"))
    }
}

fn entry(tools: &Ptxas, ptx: &str, arch: NvvmArch) -> String {
    tools.assemble(ptx, arch).unwrap().entries.into_keys().next().unwrap()
}

#[test]
fn a_text_is_assembled_once_for_each_architecture() {
    let place = Place::new();
    for _ in 0..2 {
        let tools = place.tools();
        assert_eq!(entry(&tools, "a", NvvmArch::Compute80), "a-arch=sm_80");
        assert_eq!(entry(&tools, "b", NvvmArch::Compute80), "b-arch=sm_80");
        assert_eq!(entry(&tools, "a", NvvmArch::Compute90a), "a-arch=sm_90a");
    }
    assert_eq!(place.asked(), (3, 0));
}

#[test]
fn machine_code_is_read_once_and_brings_the_report() {
    let place = Place::new();
    for _ in 0..2 {
        assert_eq!(place.tools().sass("a", NvvmArch::Compute80).unwrap()["of"], "a\n");
        assert_eq!(entry(&place.tools(), "a", NvvmArch::Compute80), "a-arch=sm_80");
    }
    assert_eq!(place.asked(), (1, 1));
}

#[test]
fn another_tool_is_asked_anew() {
    let place = Place::new();
    place.tools().sass("a", NvvmArch::Compute80).unwrap();
    place.tool("nvdisasm", "echo '//--- .text.new'; exit");
    assert!(!place.tools().sass("a", NvvmArch::Compute80).unwrap().contains_key("of"));
    place.tool("ptxas", "echo 'another ptxas' > /dev/null");
    place.tools().assemble("a", NvvmArch::Compute80).unwrap();
    assert_eq!(place.asked(), (3, 2));
    let newer = Ptxas { version: "13.0.2".to_owned(), kept: None, ..place.tools() };
    newer.keeping_in(&place.folder.path().join("kept")).unwrap().assemble("a", NvvmArch::Compute80).unwrap();
    assert_eq!(place.asked(), (4, 2));
}

#[test]
fn a_refusal_is_not_kept() {
    let place = Place::new();
    place.tool("ptxas", "echo no >&2; exit 1");
    for times in 1..3 {
        let refused = place.tools().assemble("a", NvvmArch::Compute80);
        assert!(matches!(refused, Err(PtxasError::Refused { tool: "ptxas", .. })));
        assert_eq!(place.asked(), (times, 0));
    }
}

#[test]
fn what_nobody_asks_for_is_removed() {
    let place = Place::new();
    let tools = place.tools();
    entry(&tools, "a", NvvmArch::Compute80);
    entry(&tools, "b", NvvmArch::Compute80);
    let files = || fs::read_dir(place.folder.path().join("kept")).unwrap().map(|file| file.unwrap().path());
    let long_ago = SystemTime::now() - Duration::from_secs(15 * 24 * 60 * 60);
    for file in files() {
        fs::File::options().append(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }
    // Asking makes one of them young again.
    entry(&tools, "a", NvvmArch::Compute80);
    place.tools();
    assert_eq!((files().count(), place.asked()), (1, (2, 0)));
    entry(&place.tools(), "a", NvvmArch::Compute80);
    assert_eq!(place.asked(), (2, 0));
}
