//! What kernels ask of memory, counted for the launch and for each instruction.

mod common;
use common::load;
use ptx_sim::{Launch, Memory, Report, Row, Traffic, Way, launch};

/// Runs `body` in one block; `%l0` is the address of 64 KiB of zeros, `%r0` the thread.
fn report(globals: &str, body: &str, threads: u32) -> Report {
    let start = "ld.param.u64 %l0, [out];\nmov.u32 %r0, %tid.x;\n";
    let text = common::module(globals, ".param .u64 out", &format!("{start}{body}"))
        .replace("sm_80", "sm_90")
        .replace(".version 8.0", ".version 8.7");
    let module = load(&text);
    let memory = Memory::new();
    let instance = module.instantiate(&memory).unwrap();
    let out = memory.alloc(1 << 16).unwrap();
    memory.fill(out, 1 << 16, &[0]).unwrap();
    let params = out.to_le_bytes();
    let request = Launch::new(module.kernel("k").unwrap(), [1, 1, 1], [threads, 1, 1], &params);
    let report = launch(&instance, &memory, &request).unwrap_or_else(|fault| panic!("{fault}"));
    let without = launch(&instance, &memory, &Launch { listing: false, ..request }).unwrap();
    assert_eq!((without.counters, without.profile.len()), (report.counters, 0));
    report
}

/// The row of the one instruction that begins so.
fn row<'r>(report: &'r Report, start: &str) -> &'r Row {
    let mut rows = report.profile.iter().filter(|row| row.instruction.starts_with(start));
    let found = rows.next().unwrap_or_else(|| panic!("no {start}"));
    assert!(rows.next().is_none(), "more than one {start}");
    found
}

fn traffic(requests: u64, moved: u64, ideal: u64, bytes: u64) -> Traffic {
    Traffic { requests, moved, ideal, bytes }
}

#[test]
fn loads_and_stores_of_global_memory_are_sectors() {
    let body = "mul.wide.u32 %l1, %r0, 4;\nadd.u64 %l1, %l0, %l1;\nld.global.u32 %r1, [%l1];\nld.global.u32 %r2, [%l0];\nbar.sync 0;\n\
                mul.wide.u32 %l2, %r0, 128;\nadd.u64 %l2, %l0, %l2;\nst.global.v4.u32 [%l2], {%r1, %r2, %r1, %r2};\n\
                st.global.u8 [%l1+16400], %r1;";
    let report = report("", body, 64);
    assert_eq!(row(&report, "ld.global.u32 %r1").global, traffic(2, 8, 8, 256));
    assert_eq!(row(&report, "ld.global.u32 %r2").global, traffic(2, 2, 2, 256), "one address: one sector is enough");
    assert_eq!(row(&report, "st.global.v4").global, traffic(2, 64, 32, 1024), "half of each sector");
    assert_eq!(row(&report, "st.global.u8").global, traffic(2, 10, 2, 64), "every fourth byte");
    assert_eq!(report.counters.global.way(Way::Load), traffic(4, 10, 10, 512));
    assert_eq!(report.counters.global.way(Way::Store), traffic(4, 74, 34, 1088));
    assert_eq!((report.counters.global_bytes_read, report.counters.global_bytes_written), (512, 1088));
}

#[test]
fn atomics_and_reductions_are_ways_of_their_own() {
    let body = "mul.wide.u32 %l1, %r0, 4;\nadd.u64 %l1, %l0, %l1;\natom.global.add.u32 %r1, [%l1], 1;\n\
                red.global.add.u32 [%l0+4096], 1;\nmov.u32 %r3, own;\nst.shared.u32 [own], 0;\nbar.sync 0;\n\
                atom.shared.add.u32 %r2, [%r3], 1;";
    let report = report(".shared .align 4 .b8 own[4];", body, 32);
    assert_eq!(report.counters.global.way(Way::Atomic), traffic(1, 4, 4, 128));
    assert_eq!(report.counters.global.way(Way::Reduction), traffic(1, 1, 1, 128));
    assert_eq!(report.counters.shared.way(Way::Atomic), traffic(1, 1, 1, 128));
    assert_eq!((report.counters.atomics, report.counters.global_bytes_read), (96, 0));
}

#[test]
fn generic_and_local_addresses_count_where_they_lead() {
    // Odd lanes go to shared memory, even ones to global memory.
    let body = "mov.u64 %l1, own;\ncvta.shared.u64 %l1, %l1;\nand.b32 %r1, %r0, 1;\nsetp.eq.u32 %p1, %r1, 1;\n\
                selp.b64 %l2, %l1, %l0, %p1;\nmul.wide.u32 %l3, %r0, 4;\nadd.u64 %l2, %l2, %l3;\nst.u32 [%l2], %r0;";
    let report = report(".shared .align 4 .b8 own[128];", body, 32);
    let generic = row(&report, "st.u32");
    assert_eq!(generic.global, traffic(1, 4, 2, 64));
    assert_eq!(generic.shared, traffic(1, 1, 1, 64));
    assert_eq!((report.counters.global_bytes_written, report.counters.shared_bytes_written), (64, 64));

    // One place of every lane's local memory is 128 bytes in a row; two words are two such rows.
    let body = ".local .align 8 .b8 slots[16];\nst.local.u32 [slots+4], %r0;\nld.local.u32 %r1, [slots+4];\n\
                st.local.v2.u32 [slots+8], {%r0, %r0};";
    let report = self::report("", body, 32);
    assert_eq!(row(&report, "st.local.u32").local, traffic(1, 4, 4, 128));
    assert_eq!(row(&report, "ld.local.u32").local, traffic(1, 4, 4, 128));
    assert_eq!(row(&report, "st.local.v2").local, traffic(1, 8, 8, 256));
    assert_eq!(report.counters.local.total(), traffic(3, 16, 16, 512));
}

#[test]
fn matrices_and_copies_are_phases_of_shared_memory() {
    // Rows of 16 bytes one after the other, and 128 bytes apart: one bank group for all eight.
    let body = "mov.u32 %r1, pool;\nshl.b32 %r2, %r0, 4;\nadd.u32 %r2, %r1, %r2;\nshl.b32 %r3, %r0, 7;\n\
                add.u32 %r3, %r1, %r3;\nmul.wide.u32 %l1, %r0, 16;\nadd.u64 %l1, %l0, %l1;\n\
                cp.async.cg.shared.global [%r2], [%l1], 16;\ncp.async.cg.shared.global [%r3+2048], [%l1], 16, 8;\n\
                cp.async.wait_all;\nbar.sync 0;\n\
                ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r4, %r5, %r6, %r7}, [%r2];\n\
                ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r4, %r5}, [%r3+2048];\nbar.sync 0;\n\
                stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r2], {%r4};";
    let report = report(".shared .align 128 .b8 pool[8192];", body, 32);
    assert_eq!(row(&report, "ldmatrix.sync.aligned.m8n8.x4").shared, traffic(1, 4, 4, 512));
    assert_eq!(row(&report, "ldmatrix.sync.aligned.m8n8.x2").shared, traffic(1, 16, 2, 256));
    assert_eq!(row(&report, "stmatrix").shared, traffic(1, 1, 1, 128));
    let copy = row(&report, "cp.async.cg.shared.global [%r2]");
    assert_eq!((copy.global, copy.shared), (traffic(1, 16, 16, 512), traffic(1, 4, 4, 512)));
    let short = row(&report, "cp.async.cg.shared.global [%r3+2048]");
    assert_eq!((short.global, short.shared), (traffic(1, 16, 8, 256), traffic(1, 32, 4, 512)));
    assert_eq!((report.counters.async_copy_bytes, report.counters.global_bytes_read), (1024, 768));
}

#[test]
fn guards_functions_and_branches_count_by_statement() {
    let globals = ".func (.reg .b32 %o) twice(.reg .b32 %i)\n{\nadd.u32 %o, %i, %i;\nret;\n}\n";
    let body = "setp.lt.u32 %p1, %r0, 5;\n@%p1 mov.u32 %r1, 1;\n@!%p1 bra ELSE;\ncall (%r2), twice, (%r0);\nELSE:\n\
                call (%r3), twice, (%r0);\n@%p1 st.global.u32 [%l0], 7;";
    let report = report(globals, body, 32);
    let guarded = row(&report, "@%p1 mov.u32");
    assert_eq!((guarded.warps, guarded.threads, guarded.guarded_off), (1, 5, 27));
    assert_eq!(row(&report, "@!%p1 bra").divergent, 1);
    let shared = row(&report, "add.u32 %o");
    assert_eq!((shared.warps, shared.threads), (2, 37), "both calls");
    assert_eq!(row(&report, "@%p1 st.global").global, traffic(1, 1, 1, 20));
    let sum = |of: fn(&Row) -> u64| report.profile.iter().map(of).sum::<u64>();
    assert_eq!(sum(|row| row.warps), report.counters.warp_instructions);
    assert_eq!(sum(|row| row.threads), report.counters.thread_instructions);
    assert_eq!(sum(|row| row.guarded_off), report.counters.guarded_off);
    assert_eq!(sum(|row| row.divergent), report.counters.divergent_branches);
    assert!(report.profile.is_sorted_by_key(|row| row.ptx_line));
}

#[test]
fn bulk_copies_are_bytes_without_sectors() {
    let globals = ".shared .align 16 .b8 tile[256];\n.shared .align 8 .b8 bar[8];\n";
    let body = "mov.u32 %r1, tile;\nmov.u32 %r2, bar;\nmbarrier.init.shared.b64 [%r2], 1;\n\
                fence.mbarrier_init.release.cluster;\nfence.proxy.async;\n\
                mbarrier.arrive.expect_tx.shared.b64 %l3, [%r2], 256;\n\
                cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%l0], 256, [%r2];\nWAIT:\n\
                mbarrier.try_wait.parity.shared.b64 %p1, [%r2], 0;\n@!%p1 bra WAIT;\n\
                cp.async.bulk.global.shared::cta.bulk_group [%l0+4096], [%r1], 128;\ncp.async.bulk.commit_group;\n\
                cp.async.bulk.wait_group 0;\nmbarrier.inval.shared.b64 [%r2];";
    let report = report(globals, body, 1);
    let (load, store) = (row(&report, "cp.async.bulk.shared"), row(&report, "cp.async.bulk.global"));
    assert_eq!((load.global, load.shared), (traffic(1, 0, 0, 256), traffic(1, 0, 0, 256)));
    assert_eq!((store.global, store.shared), (traffic(1, 0, 0, 128), traffic(1, 0, 0, 128)));
    assert_eq!((report.counters.global_bytes_read, report.counters.global_bytes_written), (256, 128));
    assert_eq!((report.counters.shared_bytes_written, report.counters.bulk_copy_bytes), (256, 384));
}
