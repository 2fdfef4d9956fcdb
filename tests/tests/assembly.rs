//! Every embedded PTX module, assembled by NVIDIA's ptxas for every architecture it can run on: no spills, no
//! stack, no warning that an instruction was serialised or ignored. What registers they take is recorded.

use cuda_builder::{NvvmArch, ptxas::Ptxas};
use outerscale::ptx::{ARCHS, Arch, Module};
use outerscale_tests::{
    figures::{File, Table},
    harness::ptxas,
};
use std::{collections::BTreeMap, fmt::Display, sync::Mutex};

const FIGURES: File = File {
    name: "registers.md",
    title: "Registers of a thread",
    test: "assembly",
    about: "\
Of every kernel, by the architecture that it is assembled for. Stack and spills are 0 everywhere, which the same test demands\n\
whatever the versions. A row is of all types of elements that take the same.",
};

/// What GPUs there are to run on, with their version.
const GPUS: [(NvvmArch, (u32, u32)); 7] = [
    (NvvmArch::Compute80, (8, 0)),
    (NvvmArch::Compute86, (8, 6)),
    (NvvmArch::Compute89, (8, 9)),
    (NvvmArch::Compute90a, (9, 0)),
    (NvvmArch::Compute100a, (10, 0)),
    (NvvmArch::Compute103a, (10, 3)),
    (NvvmArch::Compute120, (12, 0)),
];

fn targets(arch: &Arch) -> impl Iterator<Item = NvvmArch> {
    GPUS.into_iter().filter(|(_, (major, minor))| arch.runs_on(*major, *minor)).map(|(gpu, _)| gpu)
}

/// Registers of the kernels of a module for one GPU, and what is wrong with them.
fn assemble(ptxas: &Ptxas, arch: &Arch, module: Module, gpu: NvvmArch) -> (Vec<(&'static str, u32)>, Vec<String>) {
    let Some(ptx) = arch.own(module) else { return Default::default() };
    let what = format!("{} ({}) for {gpu}", module.name(), arch.name);
    let report = match ptxas.assemble(ptx, gpu) {
        Ok(report) => report,
        Err(error) => return (Vec::new(), vec![format!("{what}: {error}")]),
    };
    // C75xx: wgmma serialised, setmaxnreg ignored and their like.
    let mut problems: Vec<_> = report.warnings.iter().map(|warning| format!("{what}: {warning}")).collect();
    let mut registers = Vec::new();
    for entry in arch.entries(module) {
        match report.entries.get(entry) {
            None => problems.push(format!("{what}: ptxas did not report on {entry}")),
            Some(e) if e.spill_stores + e.spill_loads + e.stack > 0 => problems.push(format!(
                "{what}: {entry}: {} bytes stored, {} loaded by spills, {} bytes of stack",
                e.spill_stores, e.spill_loads, e.stack
            )),
            Some(e) => registers.push((entry, e.registers)),
        }
    }
    (registers, problems)
}

/// Of each kernel of a module its registers, one for each of [`targets`].
type Registers = BTreeMap<&'static str, Vec<u32>>;

/// The table of a module: a row for all types of elements that take the same.
fn table(gpus: &[NvvmArch], registers: &Registers) -> Table {
    let mut rows: BTreeMap<(&str, &[u32]), Vec<&str>> = BTreeMap::new();
    for (entry, counts) in registers {
        let split = entry.rsplit_once('_').filter(|(_, last)| ["f32", "f16", "bf16", "i32"].contains(last));
        let (family, of) = split.map_or((*entry, None), |(family, of)| (family, Some(of)));
        rows.entry((family, counts)).or_default().extend(of);
    }
    let names: Vec<String> = gpus.iter().map(ToString::to_string).collect();
    let header: Vec<&str> = std::iter::once("kernel").chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new(&header);
    for ((family, counts), types) in rows {
        let name = match types[..] {
            [] => format!("`{family}`"),
            [only] => format!("`{family}_{only}`"),
            _ => format!("`{family}_{{{}}}`", types.join(",")),
        };
        let counts = counts.iter().map(|count| count as &dyn Display);
        table.row(&std::iter::once(&name as &dyn Display).chain(counts).collect::<Vec<_>>());
    }
    table
}

#[test]
fn no_spills_no_stack_no_warnings() {
    let Some(ptxas) = ptxas("assembly by ptxas", env!("CARGO_TARGET_TMPDIR")) else { return };
    let modules = ARCHS.iter().flat_map(|arch| Module::ALL.map(|module| (arch, module)));
    let jobs: Vec<_> = modules.flat_map(|(arch, module)| targets(arch).map(move |gpu| (arch, module, gpu))).collect();
    let (jobs, found) = (Mutex::new(jobs.into_iter()), Mutex::new((Vec::new(), Vec::new())));
    let next = || jobs.lock().unwrap().next();
    std::thread::scope(|scope| {
        // ptxas takes one thread for a module.
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((arch, module, gpu)) = next() {
                    let (registers, problems) = assemble(&ptxas, arch, module, gpu);
                    let mut found = found.lock().unwrap();
                    found.0.push(((arch.name, module.name(), gpu), registers));
                    found.1.extend(problems);
                }
            });
        }
    });
    let (assembled, problems) = found.into_inner().unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let count: usize = assembled.iter().map(|(_, registers)| registers.len()).sum();
    assert!(count >= GPUS.len() * Module::ALL.len(), "only {count} kernels were assembled");

    let mut body = String::new();
    for arch in ARCHS {
        for module in Module::ALL.iter().filter(|module| arch.own(**module).is_some()) {
            let gpus: Vec<_> = targets(arch).collect();
            let mut registers = Registers::new();
            for gpu in &gpus {
                let (_, found) = assembled
                    .iter()
                    .find(|(what, _)| *what == (arch.name, module.name(), *gpu))
                    .expect("each was assembled");
                found.iter().for_each(|&(entry, count)| registers.entry(entry).or_default().push(count));
            }
            let table = table(&gpus, &registers);
            body += &format!("## {}, compiled for {}\n\n{}\n", module.name(), arch.name, table.text());
        }
    }
    FIGURES.hold(&ptxas.version, &body);
}
