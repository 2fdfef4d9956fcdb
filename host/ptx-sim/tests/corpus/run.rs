//! Runs a case and says what came of it.

use ptx_sim::{Fault, Launch, LoadError, Memory, Module, Report, Schedule, TensorElement, TensorMap, launch};

use super::case::{Arg, Case, Variant, bytes};

/// What a run left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) end: Result<Report, Box<Fault>>,
    /// Name, bytes and wanted bytes of each buffer with a result.
    pub(crate) results: Vec<(String, Vec<u8>, Vec<u8>)>,
}

/// Runs the bug or the twin of `case` in a memory of its own.
///
/// # Errors
/// The text is refused.
pub(crate) fn run(case: &Case, variant: &Variant, schedule: Schedule) -> Result<Outcome, LoadError> {
    let module = Module::load(&variant.text, &case.name)?;
    let kernel = module.kernels().next().unwrap_or_else(|| panic!("{}: no kernel", case.name));
    let memory = Memory::new();
    let instance = module.instantiate(&memory).expect("memory for the module's variables");
    let mut params = vec![0; kernel.param_bytes() as usize];
    let buffers = variant.args.iter().filter_map(|arg| Some((arg, place(arg, arg.count?, &memory))));
    let buffers: Vec<(&Arg, u64)> = buffers.collect();
    let passed: Vec<&Arg> = variant.args.iter().filter(|arg| arg.passed).collect();
    assert_eq!(kernel.params().len(), passed.len(), "{}: arguments and parameters", case.name);
    for (arg, param) in passed.iter().zip(kernel.params()) {
        let value = value(arg, &buffers);
        assert_eq!(value.len(), param.size as usize, "{}: size of {}", case.name, arg.name);
        params[param.offset as usize..][..value.len()].copy_from_slice(&value);
    }
    let mut request = Launch::new(kernel, variant.grid, variant.block, &params)
        .with_dynamic_shared(variant.shared)
        .with_schedule(schedule);
    request.cluster = variant.cluster;
    request.instruction_limit = variant.limit.unwrap_or(request.instruction_limit);
    let end = launch(&instance, &memory, &request);
    let results = buffers.iter().filter_map(|(arg, address)| result(arg, *address, &memory)).collect();
    Ok(Outcome { end, results })
}

/// The bytes that the kernel gets.
fn value(arg: &Arg, buffers: &[(&Arg, u64)]) -> Vec<u8> {
    let address = |name: &str| buffers.iter().find(|(buffer, _)| buffer.name == name).map(|(_, address)| *address);
    match (&arg.map, &arg.fill, address(&arg.name)) {
        (Some(map), ..) => {
            let address = address(&map.of).unwrap_or_else(|| panic!("{} is a map of no buffer", arg.name));
            let map = TensorMap::packed(TensorElement::U8, address, &map.dims, &map.box_dims);
            map.and_then(|map| map.encode()).unwrap_or_else(|error| panic!("{}: {error}", arg.name)).to_vec()
        }
        (None, _, Some(address)) => address.to_le_bytes().to_vec(),
        (None, Some(number), None) => bytes(&arg.ty, number.at(0)),
        (None, None, None) => panic!("{} has no value", arg.name),
    }
}

/// Gives a buffer its place and its first values.
fn place(arg: &Arg, count: usize, memory: &Memory) -> u64 {
    let size = bytes(&arg.ty, 0).len();
    let address = memory.alloc((count * size) as u64).expect("memory for an argument");
    if let Some(fill) = &arg.fill {
        let content: Vec<u8> = (0..count).flat_map(|index| bytes(&arg.ty, fill.at(index))).collect();
        memory.write(address, &content).expect("the buffer takes its content");
    }
    if arg.freed {
        memory.free(address).expect("the buffer is there to be freed");
    }
    address
}

fn result(arg: &Arg, address: u64, memory: &Memory) -> Option<(String, Vec<u8>, Vec<u8>)> {
    let (count, formula) = (arg.count?, arg.result.as_ref()?);
    let wanted: Vec<u8> = (0..count).flat_map(|index| bytes(&arg.ty, formula.at(index))).collect();
    let mut found = vec![0; wanted.len()];
    memory.read(address, &mut found).expect("the buffer is still there");
    Some((arg.name.clone(), found, wanted))
}

impl Outcome {
    /// The findings of a run: that which stopped it, or the notes.
    pub(crate) fn findings(&self) -> Vec<&Fault> {
        match &self.end {
            Ok(report) => report.notes.iter().collect(),
            Err(fault) => vec![fault],
        }
    }
}
