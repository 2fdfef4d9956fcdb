//! Chosen blocks of a grid, and problems that are larger than the machine.

mod common;
use common::load;
use ptx_sim::{FaultKind, Launch, Memory, launch};

/// Each thread stores the grid's size to its word of the output: 64-bit arithmetic all the way.
const BODY: &str = "ld.param.u64 %l0, [out];\nmov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\n\
                    mov.u32 %r4, %ctaid.y;\nmov.u32 %r5, %nctaid.x;\nmad.wide.u32 %l5, %r4, %r5, 0;\ncvt.u64.u32 %l6, %r1;\n\
                    add.u64 %l5, %l5, %l6;\ncvt.u64.u32 %l7, %r2;\nmul.lo.u64 %l5, %l5, %l7;\ncvt.u64.u32 %l8, %r3;\n\
                    add.u64 %l5, %l5, %l8;\nshl.b64 %l5, %l5, 2;\nadd.u64 %l5, %l0, %l5;\nmov.u32 %r6, %nctaid.y;\n\
                    mul.lo.u32 %r6, %r6, %r5;\nst.global.u32 [%l5], %r6;";

/// Bytes of this process that are in memory.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

#[test]
fn a_few_blocks_of_forty_billion_bytes_take_little_memory() {
    let module = load(&common::module("", ".param .u64 out", BODY));
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    // 10 billion words: their byte offsets need 36 bits, their indexes 34.
    let (grid, threads) = ([4_882_813, 2, 1], 1024_u32);
    let blocks = 2 * 4_882_813_u64;
    let out = memory.alloc(blocks * u64::from(threads) * 4).unwrap();
    let params = out.to_le_bytes();
    let chosen = [0..1, blocks / 2 - 1..blocks / 2 + 1, blocks - 1..blocks];
    let request = Launch::new(module.kernel("k").unwrap(), grid, [threads, 1, 1], &params).with_blocks(&chosen);
    let before = resident();
    let report = launch(&instance, &memory, &request).unwrap_or_else(|fault| panic!("{fault}"));
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before) >> 20;
        assert!(grown < 100, "{grown} MiB for four blocks");
    }
    assert_eq!(report.counters.blocks, 4);
    let word = |index: u64| {
        let mut bytes = [0; 4];
        memory.read(out + index * 4, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    };
    // The grid is the whole one to every thread.
    for block in [0, blocks / 2 - 1, blocks / 2, blocks - 1] {
        assert_eq!(u64::from(word(block * 1024 + 1023)), blocks, "block {block}");
    }
    for block in [1, blocks / 2 + 1, blocks - 2] {
        assert_eq!(word(block * 1024), 0xA5A5_A5A5, "block {block} did not run");
    }
}

#[test]
fn blocks_that_the_grid_does_not_have_are_refused() {
    let module = load(&common::module("", ".param .u64 out", BODY));
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let params = memory.alloc(8).unwrap().to_le_bytes();
    for (chosen, why) in [(3..5, "blocks 3..5 are chosen of a grid of 4"), (2..2, "an empty range of blocks")] {
        let chosen = [chosen];
        let request = Launch::new(module.kernel("k").unwrap(), [4, 1, 1], [32, 1, 1], &params).with_blocks(&chosen);
        let fault = launch(&instance, &memory, &request).unwrap_err();
        assert_eq!(fault.kind, FaultKind::BadLaunch);
        assert!(fault.explanation.contains(why), "{fault}");
    }
}
