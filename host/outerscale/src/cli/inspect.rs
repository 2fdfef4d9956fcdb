//! `outerscale inspect`: what each kernel takes and does.

use super::{
    Common, Done,
    report::{Output, Progress, place_json, place_line, table},
};
use cuda_builder::{
    NvvmArch, UnknownArch,
    ptxas::{Ptxas, Resources},
};
use outerscale::{
    Backend, Error, Gpu, Result,
    gpu::Driver,
    occupancy::{Occupancy, occupancy},
    ops::Variant,
    ptx::{ARCHS, Arch, Module, only_entries},
    registry::{self, Kernel},
    verify::{Options, verify},
};
use ptx_sim::{Counters, Traffic};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One kernel's line.
struct Line {
    entry: String,
    module: Module,
    variant: &'static Variant,
    /// None where the target's multiprocessor is not known.
    occupancy: Option<Occupancy>,
    resources: Option<Resources>,
}

pub(crate) fn run(kernel: Option<&str>, sass: bool, common: &Common) -> Result<Done> {
    let (gpu, target) = open(common)?;
    let tools = Tools::new(target);
    let chosen = registry::kernels(kernel)?;
    let resources = tools.resources(&chosen)?;
    let mut lines = Vec::with_capacity(chosen.len());
    for Kernel { variant, dtype, entry, .. } in chosen {
        let module = variant.module;
        let resources = resources.get(&entry).copied();
        let fits = || occupancy(&gpu, module, (variant, dtype), resources.map(|r| r.registers));
        let occupancy = target.is_device.then(fits).transpose()?;
        lines.push(Line { entry, module, variant, occupancy, resources });
    }
    let mut counters = counters(&gpu, kernel, &Progress::new(common.json))?;
    // A product's check makes its operands with other kernels.
    counters.retain(|entry, _| lines.iter().any(|line| line.entry == *entry));

    let mut text = format!("{}\n{}\n", place_line(&gpu), tools.line());
    let heading = [
        "kernel",
        "threads",
        "registers",
        "spills",
        "stack",
        "static shared",
        "dynamic shared",
        "blocks/SM",
        "occupancy",
    ];
    let number = |value: Option<u32>| value.map_or("?".to_owned(), |value| value.to_string());
    let rows = lines.iter().map(|line| {
        let of = |field: fn(&Resources) -> u32| number(line.resources.as_ref().map(field));
        vec![
            line.entry.clone(),
            line.variant.block.to_string(),
            of(|r| r.registers),
            of(|r| r.spill_stores + r.spill_loads),
            of(|r| r.stack),
            of(|r| r.shared),
            line.variant.shared_bytes.to_string(),
            number(line.occupancy.map(|o| o.blocks)),
            line.occupancy.map_or("?".to_owned(), |o| format!("{:.0} %", 100.0 * o.share)),
        ]
    });
    text += &table(&heading, &[1, 2, 3, 4, 5, 6, 7, 8], rows);
    text.push('\n');
    if !target.is_device {
        text += &format!("Occupancy: no GPU of {} is at hand or simulated.\n", target.arch);
    }
    if gpu.driver() == Driver::Sim {
        if lines.iter().any(|line| line.occupancy.is_some_and(|o| !o.counts_registers)) {
            text += "Occupancy without registers: there is no ptxas to tell them.\n";
        }
        text.push('\n');
        text += "What the kernels did when the simulator verified them (PTX instructions of warps):\n";
        let rows = counters.iter().map(|(name, c)| {
            let mut row = vec![name.clone()];
            let figures = [c.launches, c.warp_instructions, c.mma + c.wgmma, c.barriers, c.divergent_branches];
            row.extend(figures.iter().map(u64::to_string));
            row.extend([c.global_bytes_read, c.global_bytes_written].iter().map(u64::to_string));
            row.extend([c.global.total(), c.shared.total()].map(|traffic| excess(&traffic)));
            row
        });
        let heading = [
            "kernel",
            "launches",
            "instructions",
            "(wg)mma",
            "barriers",
            "divergent",
            "bytes read",
            "bytes written",
            "sectors",
            "wavefronts",
        ];
        text += &table(&heading, &[1, 2, 3, 4, 5, 6, 7, 8, 9], rows);
        text += "\nSectors of global memory and wavefronts of shared memory, and how many of them better addresses would save.\n";
    }
    if sass {
        for (entry, code) in tools.sass(&lines)? {
            text += &format!("\n{entry}:\n{code}\n");
        }
    }
    let kernels: Vec<_> = lines.iter().map(|line| to_json(line, counters.get(&line.entry))).collect();
    let json =
        json!({"place": place_json(&gpu), "target": target.arch.sm(), "tools": tools.line(), "kernels": kernels});
    Ok(Done { output: Output { text, json }, right: true })
}

/// What requests came to, and how much of it is more than their lanes need.
fn excess(traffic: &Traffic) -> String {
    match traffic.excessive() {
        0 => traffic.moved.to_string(),
        excess => format!("{} (+{:.1} %)", traffic.moved, 100.0 * excess as f64 / traffic.ideal as f64),
    }
}

/// The simulator's counts under Nsight Compute's names.
fn metrics(counters: &Counters) -> Value {
    counters.metrics().into_iter().map(|metric| (metric.name, Value::from(metric.value))).collect()
}

fn to_json(line: &Line, counters: Option<&Counters>) -> Value {
    json!({
        "kernel": line.entry,
        "threads": line.variant.block,
        "dynamic_shared_bytes": line.variant.shared_bytes,
        "blocks_per_multiprocessor": line.occupancy.map(|o| o.blocks),
        "occupancy": line.occupancy.map(|o| o.share),
        "occupancy_counts_registers": line.occupancy.map(|o| o.counts_registers),
        "resources": line.resources.map(|r| json!({
            "registers": r.registers, "spill_store_bytes": r.spill_stores, "spill_load_bytes": r.spill_loads,
            "stack_bytes": r.stack, "static_shared_bytes": r.shared, "constant_bytes": r.constant,
        })),
        "simulated": counters.map(|c| json!({
            "launches": c.launches, "blocks": c.blocks, "warp_instructions": c.warp_instructions,
            "thread_instructions": c.thread_instructions, "mma": c.mma, "wgmma": c.wgmma, "macs": c.macs, "barriers": c.barriers,
            "divergent_branches": c.divergent_branches, "global_bytes_read": c.global_bytes_read,
            "global_bytes_written": c.global_bytes_written, "shared_bytes_read": c.shared_bytes_read,
            "shared_bytes_written": c.shared_bytes_written, "atomics": c.atomics,
            "metrics": metrics(c),
        })),
    })
}

/// Counts what the kernels do on the simulator, over the cases of `verify`.
fn counters(gpu: &Gpu, kernel: Option<&str>, progress: &Progress) -> Result<BTreeMap<String, Counters>> {
    if gpu.driver() != Driver::Sim {
        return Ok(BTreeMap::new());
    }
    libcuda::simulator::reset_counters();
    let options = Options { only: kernel.map(str::to_owned), ..Options::default() };
    verify(gpu, &options, &mut |name, i, n| progress.step(name, i, n))?;
    Ok(libcuda::simulator::counters())
}

/// What machine code is made for.
#[derive(Clone, Copy)]
struct Target {
    arch: NvvmArch,
    /// The PTX that a driver would take there.
    ptx: &'static Arch,
    /// Whether the device that was opened is of this architecture: occupancy is worked out from its figures.
    is_device: bool,
}

/// Opens the device and says what to assemble for: the device, or whatever `--arch` names, with PTX of its own or not.
fn open(common: &Common) -> Result<(Gpu, Target)> {
    let unknown = |e: UnknownArch| Error::Backend(e.to_string());
    let wanted = common.arch.as_deref().map(str::parse).transpose().map_err(unknown)?;
    let Some(arch) = wanted else {
        let gpu = common.open()?;
        let (major, minor) = gpu.version();
        let own: NvvmArch = gpu.arch().name.parse().map_err(unknown)?;
        let arch = if own.capability_value() == 10 * major + minor {
            // With the suffix that its kernels have: sm_90a and not sm_90.
            own
        } else {
            // A GPU newer than this program's list of names takes the PTX too.
            format!("sm_{major}{minor}").parse().unwrap_or(own)
        };
        let target = Target { arch, ptx: gpu.arch(), is_device: true };
        return Ok((gpu, target));
    };
    let ptx = newest_for(arch).ok_or_else(|| {
        let names: Vec<_> = ARCHS.iter().map(|arch| arch.name).collect();
        Error::Backend(format!("kernels for {} do not run on {arch}", names.join(", ")))
    })?;
    // A GPU that is at hand is seldom the one that is asked about; a simulated one can be.
    let backend = match common.backend()? {
        Backend::Auto => Backend::Sim,
        named => named,
    };
    if backend == Backend::Sim {
        // Where none of that architecture can be simulated, the usual one counts what kernels do.
        _ = libcuda::simulator::set_arch(&arch.sm());
    }
    let gpu = Gpu::open(backend)?;
    let (major, minor) = gpu.version();
    Ok((gpu, Target { arch, ptx, is_device: arch.capability_value() == 10 * major + minor }))
}

/// The newest embedded PTX that runs on `arch`.
fn newest_for(arch: NvvmArch) -> Option<&'static Arch> {
    ARCHS.iter().rev().find(|own| own.name.parse().is_ok_and(|own: NvvmArch| own.runs_on(arch)))
}

/// NVIDIA's assembler and disassembler, where they are.
struct Tools {
    found: std::result::Result<Ptxas, String>,
    target: Target,
}

impl Tools {
    fn new(target: Target) -> Self {
        Tools { found: Ptxas::find().map_err(|e| e.to_string()), target }
    }

    fn line(&self) -> String {
        let Target { arch, ptx, .. } = self.target;
        match &self.found {
            Ok(ptxas) => {
                let (major, minor) = ptxas.release;
                format!("machine code by ptxas {major}.{minor} for {arch}, from PTX for {}", ptx.name)
            }
            Err(why) => format!("no registers and spills: {}", why.lines().next().unwrap_or_default()),
        }
    }

    /// What each of the kernels takes; nothing without ptxas.
    fn resources(&self, chosen: &[Kernel]) -> Result<BTreeMap<String, Resources>> {
        let mut resources = BTreeMap::new();
        let Ok(ptxas) = &self.found else { return Ok(resources) };
        for text in self.texts(chosen.iter().map(|kernel| (kernel.variant.module, kernel.entry.as_str()))) {
            let report = ptxas.assemble(&text, self.target.arch);
            resources.extend(report.map_err(|e| Error::Backend(e.to_string()))?.entries);
        }
        Ok(resources)
    }

    fn sass(&self, lines: &[Line]) -> Result<BTreeMap<String, String>> {
        let ptxas = self.found.as_ref().map_err(|why| Error::Backend(why.clone()))?;
        let mut sass = BTreeMap::new();
        for text in self.texts(lines.iter().map(|line| (line.module, line.entry.as_str()))) {
            let code = ptxas.sass(&text, self.target.arch);
            sass.extend(code.map_err(|e| Error::Backend(e.to_string()))?);
        }
        Ok(sass)
    }

    /// The PTX for the target of these kernels and no others, a text for each module that has some of them.
    fn texts<'a>(&self, kernels: impl Iterator<Item = (Module, &'a str)>) -> Vec<String> {
        let kernels: BTreeSet<(&str, &str)> = kernels.map(|(module, entry)| (module.name(), entry)).collect();
        let needed = Module::ALL.into_iter().filter(|module| kernels.iter().any(|(name, _)| *name == module.name()));
        let texts = needed.filter_map(|module| Some((module, self.target.ptx.text(module)?.ptx)));
        texts.map(|(module, ptx)| only_entries(ptx, |entry| kernels.contains(&(module.name(), entry)))).collect()
    }
}
