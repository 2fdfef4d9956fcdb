//! Every embedded PTX module, assembled by NVIDIA's ptxas for every architecture it can run on: no spills, no
//! stack, no warning that an instruction was serialised or ignored.

use cuda_builder::{NvvmArch, ptxas::Ptxas};
use outerscale::ptx::{ARCHS, Arch, Module};
use outerscale_tests::harness::skipped;
use std::sync::Mutex;

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

/// A module for one GPU: how many kernels were assembled, and what is wrong with them.
fn assemble(ptxas: &Ptxas, arch: &Arch, module: Module, gpu: NvvmArch) -> (usize, Vec<String>) {
    let Some(ptx) = arch.own(module) else { return (0, Vec::new()) };
    let what = format!("{} ({}) for {gpu}", module.name(), arch.name);
    let report = match ptxas.assemble(ptx, gpu) {
        Ok(report) => report,
        Err(error) => return (0, vec![format!("{what}: {error}")]),
    };
    // C75xx: wgmma serialised, setmaxnreg ignored and their like.
    let mut problems: Vec<_> = report.warnings.iter().map(|warning| format!("{what}: {warning}")).collect();
    let mut assembled = 0;
    for entry in arch.entries(module) {
        match report.entries.get(entry) {
            None => problems.push(format!("{what}: ptxas did not report on {entry}")),
            Some(e) if e.spill_stores + e.spill_loads + e.stack > 0 => problems.push(format!(
                "{what}: {entry}: {} bytes stored, {} loaded by spills, {} bytes of stack",
                e.spill_stores, e.spill_loads, e.stack
            )),
            Some(_) => assembled += 1,
        }
    }
    (assembled, problems)
}

#[test]
fn no_spills_no_stack_no_warnings() {
    let ptxas = match Ptxas::find() {
        Ok(ptxas) => ptxas,
        Err(why) => return skipped("assembly by ptxas", &why.to_string(), "OUTERSCALE_REQUIRE_PTXAS"),
    };
    let modules = ARCHS.iter().flat_map(|arch| Module::ALL.map(|module| (arch, module)));
    let jobs: Vec<_> = modules.flat_map(|(arch, module)| targets(arch).map(move |gpu| (arch, module, gpu))).collect();
    let (jobs, found) = (Mutex::new(jobs.into_iter()), Mutex::new((0, Vec::new())));
    let next = || jobs.lock().unwrap().next();
    std::thread::scope(|scope| {
        // ptxas takes one thread for a module.
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((arch, module, gpu)) = next() {
                    let (assembled, problems) = assemble(&ptxas, arch, module, gpu);
                    let mut found = found.lock().unwrap();
                    found.0 += assembled;
                    found.1.extend(problems);
                }
            });
        }
    });
    let (assembled, problems) = found.into_inner().unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(assembled >= GPUS.len() * Module::ALL.len(), "only {assembled} kernels were assembled");
}
