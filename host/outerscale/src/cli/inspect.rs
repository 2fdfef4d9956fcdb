//! `outerscale inspect`: what each kernel takes and does.

use super::{
    Common, Done,
    report::{Output, place_json, place_line, table},
};
use cuda_builder::ptxas::{Ptxas, Resources};
use outerscale::{
    Dtype, Error, Gpu, Result,
    gpu::Driver,
    occupancy::{Occupancy, occupancy},
    ops::Variant,
    ptx::Module,
    registry::OPS,
    verify::{Options, verify},
};
use ptx_sim::Counters;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One kernel's line.
struct Line {
    entry: String,
    module: Module,
    variant: &'static Variant,
    occupancy: Occupancy,
    resources: Option<Resources>,
}

pub(crate) fn run(kernel: Option<&str>, sass: bool, common: &Common) -> Result<Done> {
    let gpu = common.open()?;
    let tools = Tools::new(&gpu);
    let chosen: Vec<Chosen> = chosen(kernel)?;
    let resources = tools.resources(&chosen)?;
    let mut lines = Vec::with_capacity(chosen.len());
    for Chosen { entry, module, variant, dtype } in chosen {
        let resources = resources.get(&entry).copied();
        let occupancy = occupancy(&gpu, module, (variant, dtype), resources.map(|r| r.registers))?;
        lines.push(Line { entry, module, variant, occupancy, resources });
    }
    let counters = counters(&gpu, kernel)?;

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
            line.occupancy.blocks.to_string(),
            format!("{:.0} %", 100.0 * line.occupancy.share),
        ]
    });
    text += &table(&heading, &[1, 2, 3, 4, 5, 6, 7, 8], rows);
    text.push('\n');
    if gpu.driver() == Driver::Sim {
        if lines.iter().any(|line| !line.occupancy.counts_registers) {
            text += "Occupancy without registers: there is no ptxas to tell them.\n";
        }
        text.push('\n');
        text += "What the kernels did when the simulator verified them (PTX instructions of warps):\n";
        let rows = counters.iter().map(|(name, c)| {
            let mut row = vec![name.clone()];
            let figures = [c.launches, c.warp_instructions, c.mma, c.barriers, c.divergent_branches];
            row.extend(figures.iter().map(u64::to_string));
            row.extend([c.global_bytes_read, c.global_bytes_written].iter().map(u64::to_string));
            row
        });
        let heading =
            ["kernel", "launches", "instructions", "mma", "barriers", "divergent", "bytes read", "bytes written"];
        text += &table(&heading, &[1, 2, 3, 4, 5, 6, 7], rows);
        text.push('\n');
    }
    if sass {
        for (entry, code) in tools.sass(&lines)? {
            text += &format!("\n{entry}:\n{code}\n");
        }
    }
    let kernels: Vec<_> = lines.iter().map(|line| to_json(line, counters.get(&line.entry))).collect();
    let json = json!({"place": place_json(&gpu), "tools": tools.line(), "kernels": kernels});
    Ok(Done { output: Output { text, json }, right: true })
}

/// A kernel to look at.
struct Chosen {
    entry: String,
    module: Module,
    variant: &'static Variant,
    dtype: Dtype,
}

fn chosen(kernel: Option<&str>) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for op in OPS {
        for variant in op.table.variants {
            let dtypes = if variant.dtypes.is_empty() { &[Dtype::I8] } else { variant.dtypes };
            let all = dtypes.iter().map(|dtype| (variant.entry(*dtype), *dtype));
            let named = all.filter(|(entry, _)| kernel.is_none_or(|name| entry.contains(name) || op.name == name));
            chosen.extend(named.map(|(entry, dtype)| Chosen { entry, module: op.module(), variant, dtype }));
        }
    }
    if chosen.is_empty() {
        let names: Vec<_> = OPS.iter().map(|op| op.name).collect();
        let what = format!("no kernel's name holds {:?}; the ops are {}", kernel.unwrap_or_default(), names.join(", "));
        return Err(Error::Backend(what));
    }
    Ok(chosen)
}

fn to_json(line: &Line, counters: Option<&Counters>) -> Value {
    json!({
        "kernel": line.entry,
        "threads": line.variant.block,
        "dynamic_shared_bytes": line.variant.shared_bytes,
        "blocks_per_multiprocessor": line.occupancy.blocks,
        "occupancy": line.occupancy.share,
        "occupancy_counts_registers": line.occupancy.counts_registers,
        "resources": line.resources.map(|r| json!({
            "registers": r.registers, "spill_store_bytes": r.spill_stores, "spill_load_bytes": r.spill_loads,
            "stack_bytes": r.stack, "static_shared_bytes": r.shared, "constant_bytes": r.constant,
        })),
        "simulated": counters.map(|c| json!({
            "launches": c.launches, "blocks": c.blocks, "warp_instructions": c.warp_instructions,
            "thread_instructions": c.thread_instructions, "mma": c.mma, "macs": c.macs, "barriers": c.barriers,
            "divergent_branches": c.divergent_branches, "global_bytes_read": c.global_bytes_read,
            "global_bytes_written": c.global_bytes_written, "shared_bytes_read": c.shared_bytes_read,
            "shared_bytes_written": c.shared_bytes_written, "atomics": c.atomics,
        })),
    })
}

/// Counts what the kernels do on the simulator, over the cases of `verify`.
fn counters(gpu: &Gpu, kernel: Option<&str>) -> Result<BTreeMap<String, Counters>> {
    if gpu.driver() != Driver::Sim {
        return Ok(BTreeMap::new());
    }
    libcuda::simulator::reset_counters();
    verify(gpu, &Options { only: kernel.map(str::to_owned), seed: 0 }, &mut |_, _, _| {})?;
    Ok(libcuda::simulator::counters())
}

/// NVIDIA's assembler and disassembler, where they are.
struct Tools {
    found: std::result::Result<Ptxas, String>,
    arch: &'static outerscale::ptx::Arch,
}

impl Tools {
    fn new(gpu: &Gpu) -> Self {
        Tools { found: Ptxas::find().map_err(|e| e.to_string()), arch: gpu.arch() }
    }

    fn line(&self) -> String {
        match &self.found {
            Ok(ptxas) => {
                format!("machine code by ptxas {}.{} for {}", ptxas.release.0, ptxas.release.1, self.arch.name)
            }
            Err(why) => format!("no registers and spills: {}", why.lines().next().unwrap_or_default()),
        }
    }

    fn target(&self) -> Result<cuda_builder::NvvmArch> {
        self.arch.name.parse().map_err(|e: cuda_builder::UnknownArch| Error::Backend(e.to_string()))
    }

    /// What each of the kernels takes; nothing without ptxas.
    fn resources(&self, chosen: &[Chosen]) -> Result<BTreeMap<String, Resources>> {
        let mut resources = BTreeMap::new();
        let Ok(ptxas) = &self.found else { return Ok(resources) };
        for module in modules(chosen.iter().map(|c| c.module)) {
            let report = ptxas.assemble(self.arch.ptx(module), self.target()?);
            resources.extend(report.map_err(|e| Error::Backend(e.to_string()))?.entries);
        }
        Ok(resources)
    }

    fn sass(&self, lines: &[Line]) -> Result<BTreeMap<String, String>> {
        let ptxas = self.found.as_ref().map_err(|why| Error::Backend(why.clone()))?;
        let mut sass = BTreeMap::new();
        for module in modules(lines.iter().map(|line| line.module)) {
            let code = ptxas.sass(self.arch.ptx(module), self.target()?);
            sass.extend(code.map_err(|e| Error::Backend(e.to_string()))?);
        }
        sass.retain(|entry, _| lines.iter().any(|line| line.entry == *entry));
        Ok(sass)
    }
}

/// Each module once.
fn modules(needed: impl Iterator<Item = Module>) -> impl Iterator<Item = Module> {
    let needed: Vec<_> = needed.collect();
    Module::ALL.into_iter().filter(move |module| needed.contains(module))
}
