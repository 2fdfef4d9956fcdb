//! Kernels made wrong on purpose, in the text that the simulator runs: each must be caught, by the oracle or
//! by a check of the simulator. A mutant that survives is a hole in the tests, not a kernel that is right.
//!
//! `cargo test -p outerscale-tests --test mutants -- --nocapture` prints the table.

mod decode;
mod edit;
mod exchanged;
mod hopper;
mod outliers;
mod presets;
mod quantizers;
mod sharing;
mod smoothing;
mod table;

use outerscale::ptx::{ARCHS, Module, only_entries};
use outerscale_tests::{
    machine::{How, Machine},
    referee::judge,
};
use ptx_sim::Schedule;
use std::sync::Mutex;

/// The kernels as they are shipped, and each way to launch them that a right kernel cannot tell apart.
const WAYS: [How; 6] = [
    How { schedule: Schedule::Late, blocks: None },
    // One block does all the work: it walks on from row to row and from tile to tile.
    How { schedule: Schedule::Late, blocks: Some(1) },
    How { schedule: Schedule::Random(7), blocks: Some(2) },
    How { schedule: Schedule::Random(1), blocks: None },
    How { schedule: Schedule::Random(2), blocks: Some(1) },
    // Tiles that do not go into three evenly: products share them.
    How { schedule: Schedule::Random(3), blocks: Some(3) },
];

/// The text of the one entry, with what the module declares before it.
fn source(entry: &str) -> String {
    let mut texts = ARCHS.iter().flat_map(|arch| Module::ALL.map(|module| (arch, module)));
    let found = texts.find(|(arch, module)| arch.entries(*module).any(|name| name == entry));
    let (arch, module) = found.unwrap_or_else(|| panic!("no kernel {entry} in any module"));
    only_entries(arch.own(module).unwrap(), |name| name == entry)
}

/// Judges a text in these ways, until one of them catches it.
fn judge_in(ways: impl IntoIterator<Item = How>, text: &str, entry: &str) -> Result<(), String> {
    let mut machine = Machine::load(text, entry)?;
    ways.into_iter().try_for_each(|how| {
        machine.how = how;
        judge(&machine, entry)
    })
}

/// An entry without its type.
fn stem(entry: &str) -> &str {
    match entry.rsplit_once('_') {
        Some((stem, "f32" | "f16" | "bf16" | "i32")) => stem,
        _ => entry,
    }
}

/// The ways of an entry: the types of one kernel, which differ in how elements are loaded and stored, take turns.
fn ways_of(entry: &str, all: &[&str]) -> impl Iterator<Item = How> {
    let types: Vec<&&str> = all.iter().filter(|other| stem(other) == stem(entry)).collect();
    let turn = types.iter().position(|other| **other == entry).expect("an entry is among all");
    WAYS.into_iter().skip(turn).step_by(types.len())
}

/// Runs `work` on every item, on two threads.
fn each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = next() {
                    work(item);
                }
            });
        }
    });
}

#[test]
fn shipped_kernels_pass_in_every_way() {
    let entries = Module::ALL.into_iter().flat_map(|module| ARCHS[0].entries(module));
    let hopper = ARCHS.iter().flat_map(|arch| arch.entries(Module::GemmSm90));
    let entries: Vec<&str> = entries.chain(hopper).collect();
    let wrong = Mutex::new(Vec::new());
    each(entries.clone(), |entry| {
        if let Err(why) = judge_in(ways_of(entry, &entries), &source(entry), entry) {
            wrong.lock().unwrap().push(format!("{entry}: {why}"));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mutant_is_caught() {
    let mut mutants = Vec::new();
    let tables = [
        table::MUTATIONS,
        quantizers::MUTATIONS,
        smoothing::MUTATIONS,
        outliers::MUTATIONS,
        presets::MUTATIONS,
        decode::MUTATIONS,
        hopper::MUTATIONS,
        exchanged::MUTATIONS,
        sharing::MUTATIONS,
    ];
    for mutation in tables.into_iter().flatten() {
        for entry in mutation.entries {
            let made = (mutation.edit)(&source(entry));
            assert!(!made.is_empty(), "{entry} has nothing to {}: mend the mutation", mutation.what);
            mutants.extend(made.into_iter().map(|(site, text)| (mutation.what, *entry, site, text)));
        }
    }
    let rows = Mutex::new(Vec::new());
    let count = mutants.len();
    each(mutants, |(what, entry, site, text)| {
        let caught = judge_in(WAYS, &text, entry).err();
        rows.lock().unwrap().push((what, entry, site, caught));
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort();
    let mut problems = Vec::new();
    for (what, entry, site, caught) in &rows {
        println!("| {what} | {entry} line {site} | {} |", caught.as_deref().unwrap_or("NOT CAUGHT").replace('|', "/"));
        match caught {
            None => problems.push(format!("survived: {what} ({entry}, line {site})")),
            // A text that cannot be loaded proves nothing of the kernel's tests.
            Some(why) if why.starts_with("refused") => {
                problems.push(format!("no kernel: {what} ({entry}, line {site}): {why}"))
            }
            Some(_) => {}
        }
    }
    assert!(problems.is_empty(), "{} of {count} mutants:\n{}", problems.len(), problems.join("\n"));
}
