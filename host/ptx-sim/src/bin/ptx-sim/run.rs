//! Loading, launching under one schedule or several, comparing, saving.

use ptx_sim::{Fault, FaultKind, Instance, Kernel, Launch, Memory, Module, Report, Schedule, Severity, launch};

use crate::Done;
use crate::args::Args;
use crate::buffers::{Placed, Plan};
use crate::tensors::Output;
use crate::{annotate, report, text};

/// What all runs came to.
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    /// Findings of severity Info.
    pub(crate) notes: Vec<Finding>,
    /// What the first run that came to its end was counted for.
    pub(crate) report: Option<Report>,
    /// Schedules that ran.
    pub(crate) schedules: Vec<Schedule>,
}

/// Something to complain about.
pub(crate) enum Finding {
    /// What the simulator found, and in which buffer where it is one.
    Fault { schedule: Schedule, fault: Box<Fault>, buffer: Option<String> },
    /// A result that two schedules do not agree on.
    Depends(Box<Difference>),
}

/// The first element in which two runs differ.
pub(crate) struct Difference {
    pub(crate) schedules: [Schedule; 2],
    pub(crate) buffer: String,
    /// Index of the element, in the order of memory.
    pub(crate) element: u64,
    /// The element's bytes under each.
    pub(crate) bytes: [Vec<u8>; 2],
}

/// Does what the flags say; an error is why nothing could be run.
pub(crate) fn run(args: &Args) -> Result<Done, String> {
    let file = args.file.display().to_string();
    let source = std::fs::read_to_string(&args.file).map_err(|error| format!("{file}: cannot be read: {error}"))?;
    let module = Module::load(&source, &file).map_err(|error| error.to_string())?;
    if args.list {
        let text = if args.json { report::list(&module) } else { text::list(&module) };
        return Ok(Done { text, clean: true });
    }
    let kernel = choose(&module, args.kernel.as_deref(), &file)?;
    let plan = Plan::new(&args.arg, kernel)?;
    let output = args.save.as_deref().map(Output::create).transpose()?;
    let (outcome, results) = all_schedules(args, &module, kernel, &plan)?;
    let clean = outcome.findings.is_empty();
    if let (true, Some(output), Some((memory, placed))) = (clean, output, results) {
        let mut tensors = Vec::new();
        for (buffer, address) in plan.buffers.iter().zip(&placed.addresses) {
            let Some(name) = &buffer.name else { continue };
            let mut data = vec![0; buffer.form.bytes() as usize];
            memory.read(*address, &mut data).map_err(|error| format!("{}: {error}", buffer.title()))?;
            tensors.push((name.clone(), buffer.form.clone(), data));
        }
        output.finish(&tensors)?;
    }
    let text = if args.json {
        report::json(args, kernel, &outcome)
    } else {
        let mut text = text::findings(args, kernel, &outcome);
        match &outcome.report {
            Some(report) if args.annotate => text += &annotate::listing(&source, &report.profile),
            Some(report) => text += &text::counts(&report.counters),
            None => {}
        }
        text
    };
    Ok(Done { text, clean })
}

fn choose<'m>(module: &'m Module, name: Option<&str>, file: &str) -> Result<&'m Kernel, String> {
    let names = || module.kernels().map(Kernel::name).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => module.kernel(name).ok_or_else(|| match names() {
            names if names.is_empty() => format!("{file} has no kernel"),
            names => format!("{file} has no kernel {name}; it has {names}"),
        }),
        None => {
            let mut kernels = module.kernels();
            match (kernels.next(), kernels.next()) {
                (Some(only), None) => Ok(only),
                (None, _) => Err(format!("{file} has no kernel")),
                _ => Err(format!("{file} has the kernels {}; choose one with --kernel", names())),
            }
        }
    }
}

/// The buffers after the first run.
type Results = (Memory, Placed);

fn all_schedules(
    args: &Args,
    module: &Module,
    kernel: &Kernel,
    plan: &Plan<'_>,
) -> Result<(Outcome, Option<Results>), String> {
    let mut outcome = Outcome { findings: Vec::new(), notes: Vec::new(), report: None, schedules: Vec::new() };
    let mut first: Option<Results> = None;
    for schedule in args.schedules() {
        // Each run starts from the same memory.
        let memory = Memory::new();
        let instance = module.instantiate(&memory).map_err(|error| format!("the module's variables: {error}"))?;
        let placed = plan.place(&memory)?;
        outcome.schedules.push(schedule);
        let finding = |fault: Box<Fault>| {
            let buffer = named_buffer(plan, &placed, &fault);
            Finding::Fault { schedule, fault, buffer }
        };
        match one(args, &instance, kernel, (&memory, &placed, schedule)) {
            Err(fault) if fault.kind == FaultKind::BadLaunch => return Err(fault.explanation),
            Err(fault) => {
                outcome.findings.push(finding(fault));
                break;
            }
            Ok(mut report) => {
                for note in report.notes.drain(..) {
                    let list = match note.severity {
                        Severity::Info => &mut outcome.notes,
                        Severity::Warning | Severity::Error => &mut outcome.findings,
                    };
                    if !list.iter().any(|known| same(known, &note)) {
                        list.push(finding(Box::new(note)));
                    }
                }
                outcome.report.get_or_insert(report);
            }
        }
        match &first {
            None => first = Some((memory, placed)),
            Some(before) => {
                let schedules = [outcome.schedules[0], schedule];
                if let Some(difference) = differ(plan, before, &(memory, placed), schedules)? {
                    outcome.findings.push(Finding::Depends(Box::new(difference)));
                    break;
                }
            }
        }
    }
    Ok((outcome, first))
}

fn one(
    args: &Args,
    instance: &Instance,
    kernel: &Kernel,
    (memory, placed, schedule): (&Memory, &Placed, Schedule),
) -> Result<Report, Box<Fault>> {
    let (grid, block) = (args.grid.unwrap_or([1; 3]), args.block.unwrap_or([1; 3]));
    let mut request = Launch::new(kernel, grid, block, &placed.params).with_schedule(schedule);
    request.cluster = args.cluster.unwrap_or(request.cluster);
    request.dynamic_shared = args.shared;
    request.checks = args.checks();
    request.profile = !args.no_profile;
    request.instruction_limit = args.max_instructions;
    request.blocks = args.blocks.as_ref().map(|blocks| &blocks.0[..]);
    launch(instance, memory, &request)
}

/// Whether a run before has told of it.
fn same(known: &Finding, note: &Fault) -> bool {
    let Finding::Fault { fault, .. } = known else { return false };
    let other = |fault: &Fault| fault.other.as_ref().map(|other| other.ptx_line);
    (fault.kind, fault.ptx_line, other(fault)) == (note.kind, note.ptx_line, other(note))
}

/// The buffer that a fault's address is in or next to.
fn named_buffer(plan: &Plan<'_>, placed: &Placed, fault: &Fault) -> Option<String> {
    let address = fault.address?;
    let near = |(buffer, base): (&crate::buffers::Planned, &u64)| {
        // Allocations lie at least their own length apart.
        let end = base.saturating_add(buffer.form.bytes().max(1 << 15).saturating_mul(2));
        (base - (1 << 15)..end).contains(&address).then(|| format!("{} at {base:#x}", buffer.title()))
    };
    plan.buffers.iter().zip(&placed.addresses).find_map(near)
}

/// Bytes that are compared at a time.
const PIECE: u64 = 1 << 20;

fn differ(
    plan: &Plan<'_>,
    (memory, placed): &Results,
    (other_memory, other_placed): &Results,
    schedules: [Schedule; 2],
) -> Result<Option<Difference>, String> {
    let (mut one, mut two) = (vec![0; PIECE as usize], vec![0; PIECE as usize]);
    for (index, buffer) in plan.buffers.iter().enumerate() {
        let (bytes, size) = (buffer.form.bytes(), buffer.form.element_bytes());
        for start in (0..bytes).step_by(PIECE as usize) {
            let length = PIECE.min(bytes - start) as usize;
            let refuse = |error| format!("{}: {error}", buffer.title());
            memory.read(placed.addresses[index] + start, &mut one[..length]).map_err(refuse)?;
            other_memory.read(other_placed.addresses[index] + start, &mut two[..length]).map_err(refuse)?;
            let Some(at) = (0..length).find(|at| one[*at] != two[*at]) else { continue };
            // Pieces are whole elements: both are powers of two.
            let element = (start + at as u64) / size;
            let from = (element * size - start) as usize;
            let bytes = [&one, &two].map(|piece| piece[from..from + size as usize].to_vec());
            return Ok(Some(Difference { schedules, buffer: buffer.title(), element, bytes }));
        }
    }
    Ok(None)
}
