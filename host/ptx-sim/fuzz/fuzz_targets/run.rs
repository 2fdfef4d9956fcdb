//! A launch of whatever loads ends well or with a fault.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ptx_sim::{Launch, Memory, Module, launch};

/// Of a warp; the fuzzer finds loops without end at once.
const INSTRUCTIONS: u64 = 2000;

fuzz_target!(|text: &str| {
    let Ok(module) = Module::load(text, "fuzzed.ptx") else { return };
    let memory = Memory::with_capacity(64 << 20);
    let Ok(instance) = module.instantiate(&memory) else { return };
    // Variables may have left no room for it.
    let Ok(buffer) = memory.alloc(1 << 16) else { return };
    for kernel in module.kernels() {
        // Every parameter of eight bytes points to the buffer; narrower ones are small.
        let mut params = vec![0; kernel.param_bytes() as usize];
        for param in kernel.params() {
            let size = (param.size as usize).min(8);
            let value = if size == 8 { buffer } else { 7 };
            params[param.offset as usize..][..size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        let block = kernel.required_threads().unwrap_or([64, 1, 1]);
        let mut request = Launch::new(kernel, [2, 1, 1], block, &params).with_dynamic_shared(4096);
        request.instruction_limit = INSTRUCTIONS;
        if let Err(fault) = launch(&instance, &memory, &request) {
            assert!(!fault.explanation.is_empty(), "{fault:?}");
        }
    }
});
