//! What the search for races costs in memory.

use crate::{Launch, Memory, Module, launch};

/// Bytes that one event takes, whatever it touches.
const EVENT: usize = 16;

/// Runs a kernel whose thread of index %r1 in the grid finds the buffer in %l0, and returns the bytes of the host
/// that say who touched what, for each byte of the buffer. Every warp executes `accesses` accesses, and none of
/// them synchronises, so that each is one event.
fn shadow_per_byte(body: &str, accesses: usize, bytes: usize, [blocks, threads]: [u32; 2]) -> f64 {
    let text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out)\n{{\n.reg .pred %p<4>;\n.reg .b32 %r<16>;\n\
         .reg .b64 %l<8>;\nld.param.u64 %l0, [out];\nmov.u32 %r0, %tid.x;\nmov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\n\
         mad.lo.u32 %r1, %r2, %r3, %r0;\n{body}\nret;\n}}\n"
    );
    let module = Module::load(&text, "cost.ptx").unwrap();
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let out = memory.alloc(bytes as u64).unwrap();
    memory.fill(out, bytes as u64, &[0]).unwrap();
    let params = out.to_le_bytes();
    launch(&instance, &memory, &Launch::new(module.kernel("k").unwrap(), [blocks, 1, 1], [threads, 1, 1], &params))
        .unwrap_or_else(|fault| panic!("{fault}"));
    let events = (blocks * threads.div_ceil(32)) as usize * accesses * EVENT;
    (memory.shadow_bytes(out) + events) as f64 / bytes as f64
}

#[test]
fn a_byte_that_is_touched_costs_at_most_twelve() {
    // Lane after lane: a word for writers and one for readers of each sector.
    let contiguous =
        "mul.wide.u32 %l1, %r1, 4;\nadd.u64 %l1, %l0, %l1;\nst.global.u32 [%l1], %r1;\nld.global.u32 %r4, [%l1];";
    let cost = shadow_per_byte(contiguous, 2, 256 * 256 * 4, [256, 256]);
    assert!(cost < 1.2, "{cost} bytes a byte");
    // Bytes in an order that no run describes: tags for the writer and the reader of each.
    let bytes = "xor.b32 %r1, %r1, 21;\nmul.lo.u32 %r4, %r1, 5;\nand.b32 %r4, %r4, 31;\nand.b32 %r1, %r1, -32;\nor.b32 %r1, %r1, %r4;\n\
                 cvt.u64.u32 %l1, %r1;\nadd.u64 %l1, %l0, %l1;\nst.global.u8 [%l1], %r1;\nld.global.u8 %r5, [%l1];";
    let cost = shadow_per_byte(bytes, 2, 512 * 256, [512, 256]);
    assert!((8.0..12.0).contains(&cost), "{cost} bytes a byte");
    // One word from each block of one warp: as many events as words.
    let words =
        "setp.eq.u32 %p1, %r0, 0;\nmul.wide.u32 %l1, %r2, 4;\nadd.u64 %l1, %l0, %l1;\n@%p1 st.global.u32 [%l1], %r1;";
    let cost = shadow_per_byte(words, 1, 8192 * 4, [8192, 32]);
    assert!(cost < 12.0, "{cost} bytes a byte");
    // A buffer that every block reads.
    let shared = "mul.wide.u32 %l1, %r0, 4;\nadd.u64 %l1, %l0, %l1;\nld.global.u32 %r4, [%l1];";
    let cost = shadow_per_byte(shared, 0, 256 * 4, [256, 256]);
    assert!(cost < 12.0, "{cost} bytes a byte");
}
