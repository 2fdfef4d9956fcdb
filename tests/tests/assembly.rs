//! Every embedded PTX module, assembled by NVIDIA's ptxas for every architecture it can run on: no spills, no
//! stack, no warning that an instruction was serialised or ignored.

use cuda_builder::{NvvmArch, ptxas::Ptxas};
use outerscale::ptx::{ARCHS, Arch, Module};
use outerscale_tests::harness::skipped;

/// What GPUs there are to run on, with their version.
const GPUS: [(NvvmArch, (u32, u32)); 6] = [
    (NvvmArch::Compute80, (8, 0)),
    (NvvmArch::Compute86, (8, 6)),
    (NvvmArch::Compute89, (8, 9)),
    (NvvmArch::Compute90a, (9, 0)),
    (NvvmArch::Compute100a, (10, 0)),
    (NvvmArch::Compute120, (12, 0)),
];

fn targets(arch: &Arch) -> impl Iterator<Item = NvvmArch> {
    GPUS.into_iter().filter(|(_, (major, minor))| arch.runs_on(*major, *minor)).map(|(gpu, _)| gpu)
}

#[test]
fn no_spills_no_stack_no_warnings() {
    let ptxas = match Ptxas::find() {
        Ok(ptxas) => ptxas,
        Err(why) => return skipped("assembly by ptxas", &why.to_string(), "OUTERSCALE_REQUIRE_PTXAS"),
    };
    let mut problems = Vec::new();
    let mut assembled = 0;
    for arch in ARCHS {
        for (module, ptx) in Module::ALL.into_iter().filter_map(|module| Some((module, arch.own(module)?))) {
            for gpu in targets(arch) {
                let what = format!("{} ({}) for {gpu}", module.name(), arch.name);
                let report = match ptxas.assemble(ptx, gpu) {
                    Ok(report) => report,
                    Err(error) => {
                        problems.push(format!("{what}: {error}"));
                        continue;
                    }
                };
                // C75xx: wgmma serialised, setmaxnreg ignored and their like.
                problems.extend(report.warnings.iter().map(|warning| format!("{what}: {warning}")));
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
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(assembled >= GPUS.len() * Module::ALL.len(), "only {assembled} kernels were assembled");
}
