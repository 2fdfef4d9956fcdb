//! What ptxas takes is taken here, and what it refuses is refused (tests/mnemonics/list.txt); and every instruction
//! that the loader knows is executed by some test.

use std::path::PathBuf;

use ptx_sim::Module;

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn load(statement: &str) -> Result<Module, ptx_sim::LoadError> {
    let text = format!(
        ".version 9.0\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{{\n.reg .pred %p<16>;\n.reg .b16 %h<16>;\n\
         .reg .b32 %r<64>;\n.reg .b64 %l<32>;\n.reg .b128 %q<8>;\n{statement}\nret;\n}}\n"
    );
    Module::load(&text, "statement.ptx")
}

#[test]
fn statements_are_taken_and_refused_as_by_ptxas() {
    let list = std::fs::read_to_string(tests().join("mnemonics/list.txt")).unwrap();
    let (mut taken, mut refused, mut wrong) = (0, 0, Vec::new());
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (sign, statement) = line.split_at(2);
        match (sign, load(statement)) {
            ("+ ", Ok(_)) => taken += 1,
            ("- ", Err(error)) => {
                assert_eq!(error.line, 11, "{statement}: {error}");
                refused += 1;
            }
            ("+ ", Err(error)) => wrong.push(format!("{statement} is taken by ptxas, here: {error}")),
            _ => wrong.push(format!("{statement} is refused by ptxas, and taken here")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(taken > 150 && refused > 100, "{taken} taken, {refused} refused");
}

/// The text of every test that runs kernels; lists of what is only loaded do not count.
fn running_tests() -> String {
    let mut text = String::new();
    let mut folders = vec![tests()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                // Rejected texts never run.
                if !matches!(name.as_str(), "mnemonics" | "reject") {
                    folders.push(path);
                }
            } else if (name.ends_with(".rs") && !matches!(name.as_str(), "mnemonics.rs" | "refusals.rs" | "load.rs"))
                || name.ends_with(".ptx")
            {
                text.push_str(&std::fs::read_to_string(path).unwrap());
                text.push('\n');
            }
        }
    }
    text
}

/// Whether `text` has the mnemonic `name`, alone or with modifiers: `add` in `add.s32`, not in `madd.s32`.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].strip_suffix("\\n").map_or(&text[..at], |_| " ").chars().next_back().unwrap_or(' ');
        let after = text[at + name.len()..].chars().next().unwrap_or(' ');
        let starts = !(before.is_alphanumeric() || matches!(before, '.' | '_' | '%' | '$'));
        starts && matches!(after, '.' | ';' | ' ' | '\\' | '{' | '"')
    })
}

#[test]
fn every_known_instruction_runs_in_some_test() {
    let text = running_tests();
    let missing: Vec<String> = ptx_sim::instructions().filter(|name| !mentions(&text, name)).collect();
    assert!(missing.is_empty(), "no test executes {}", missing.join(", "));
    assert!(!mentions(&text, "mul24.wide"), "the search finds what is not there");
}
