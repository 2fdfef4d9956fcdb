//! Counts under the names that Nsight Compute has for them.
//!
//! What is counted in PTX instructions is the analogue of a count in machine instructions; addresses, and with
//! them requests, sectors, wavefronts and bytes, are the same. Names with `ptx__` are this simulator's own.

use crate::counters::{Class, Counters, Traffic, Way, Ways};
use crate::profile::Row;

/// A count with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Nsight Compute's name, or one that begins with `ptx__`.
    pub name: String,
    /// What it counts.
    pub what: String,
    /// The count.
    pub value: u64,
}

fn metric(name: impl Into<String>, what: impl Into<String>, value: u64) -> Metric {
    Metric { name: name.into(), what: what.into(), value }
}

/// The ways of the load/store unit with their words in names and in plain text.
const WAYS: [(Way, &str, &str); 4] = [
    (Way::Load, "ld", "loads"),
    (Way::Store, "st", "stores"),
    (Way::Atomic, "atom", "atomics"),
    (Way::Reduction, "red", "reductions"),
];

/// Requests, sectors and bytes of global or local memory, by way.
fn pipe(out: &mut Vec<Metric>, space: &str, ways: &[(Way, &str, &str)], of: &Ways) {
    for (way, op, plain) in ways {
        let traffic = of.way(*way);
        let name = |what: &str| format!("l1tex__t_{what}_pipe_lsu_mem_{space}_op_{op}");
        out.push(metric(name("requests"), format!("{plain} of {space} memory, requests"), traffic.requests));
        out.push(metric(name("sectors"), format!("{plain} of {space} memory, sectors of 32 bytes"), traffic.moved));
        let bytes = format!("smsp__sass_data_bytes_mem_{space}_op_{op}");
        out.push(metric(bytes, format!("{plain} of {space} memory, bytes"), traffic.bytes));
    }
}

impl Counters {
    /// Every count, in the order of a report: instructions, global, local and shared memory, copies, matrix
    /// products, the rest.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut out = vec![
            metric("ptx__blocks", "blocks that ran", self.blocks),
            metric("smsp__inst_executed", "PTX instructions, by warp", self.warp_instructions),
            metric(
                "smsp__thread_inst_executed",
                "PTX instructions, by thread, guarded off or not",
                self.thread_instructions + self.guarded_off,
            ),
            metric(
                "smsp__thread_inst_executed_pred_on",
                "PTX instructions, by thread, not guarded off",
                self.thread_instructions,
            ),
        ];
        for class in Class::ALL {
            let name = format!("ptx__inst_executed_{}", class.name());
            out.push(metric(name, format!("PTX instructions: {}", class.what()), self.class(class)));
        }
        pipe(&mut out, "global", &WAYS, &self.global);
        let copy = self.global.way(Way::Copy);
        let name = |what: &str| format!("sm__sass_l1tex_t_{what}_pipe_lsu_mem_global_op_ldgsts");
        out.push(metric(name("requests"), "cp.async, requests", copy.requests));
        out.push(metric(name("sectors"), "cp.async, sectors of 32 bytes", copy.moved));
        out.push(metric("ptx__data_bytes_op_ldgsts", "cp.async, bytes put into shared memory", self.async_copy_bytes));
        theoretical(&mut out, &self.global.total());
        pipe(&mut out, "local", &WAYS[..2], &self.local);
        let local = self.local.total().moved;
        out.push(metric("memory_l2_theoretical_sectors_local", "local memory, sectors of 32 bytes", local));
        for (way, op, plain) in WAYS {
            let traffic = self.shared.way(way);
            let name = format!("smsp__sass_inst_executed_op_shared_{op}");
            out.push(metric(name, format!("{plain} of shared memory, requests"), traffic.requests));
            let name = format!("smsp__sass_data_bytes_mem_shared_op_{op}");
            out.push(metric(name, format!("{plain} of shared memory, bytes"), traffic.bytes));
        }
        wavefronts(&mut out, &self.shared.total());
        for (way, op, plain) in WAYS {
            let traffic = self.remote.way(way);
            let words = "other blocks' shared memory";
            let name = format!("l1tex__t_requests_pipe_lsu_mem_dshared_op_{op}");
            out.push(metric(name, format!("{plain} of {words}, requests"), traffic.requests));
            out.push(metric(
                format!("ptx__bytes_dshared_op_{op}"),
                format!("{plain} of {words}, bytes"),
                traffic.bytes,
            ));
        }
        out.push(metric(
            "l1tex__m_xbar2l1tex_read_bytes_mem_global_op_tma_ld",
            "bulk copies, bytes out of global memory",
            self.global.way(Way::BulkLoad).bytes,
        ));
        out.push(metric(
            "l1tex__m_l1tex2xbar_write_bytes_mem_global_op_tma_st",
            "bulk copies, bytes into global memory",
            self.global.way(Way::BulkStore).bytes,
        ));
        out.push(metric("sm__inst_executed_pipe_tensor_op_imma", "mma.sync of integers", self.mma_integer));
        let float = self.mma - self.mma_integer;
        out.push(metric("sm__inst_executed_pipe_tensor_op_hmma", "mma.sync of floating point", float));
        out.push(metric("sm__inst_executed_pipe_tensor_op_gmma", "wgmma, by warp", self.wgmma));
        out.push(metric("ptx__macs", "multiply-accumulates of matrix products", self.macs));
        out.push(metric("ptx__barriers", "block barriers, by warp that arrived", self.barriers));
        out.push(metric("ptx__atomics", "atomic operations, by thread", self.atomics));
        let what = "branches at which a warp's threads parted";
        out.push(metric("smsp__branch_targets_threads_divergent", what, self.divergent_branches));
        out
    }
}

fn theoretical(out: &mut Vec<Metric>, global: &Traffic) {
    let name = "memory_l2_theoretical_sectors_global";
    out.push(metric(name, "global memory, sectors of 32 bytes", global.moved));
    out.push(metric(format!("{name}_ideal"), "global memory, the fewest sectors for these lanes", global.ideal));
    let what = "global memory, sectors above the ideal";
    out.push(metric(format!("derived__{name}_excessive"), what, global.excessive()));
}

fn wavefronts(out: &mut Vec<Metric>, shared: &Traffic) {
    let name = "memory_l1_wavefronts_shared";
    out.push(metric(name, "shared memory, wavefronts", shared.moved));
    out.push(metric(format!("{name}_ideal"), "shared memory, the fewest wavefronts for these lanes", shared.ideal));
    let what = "shared memory, wavefronts above the ideal: bank conflicts";
    out.push(metric(format!("derived__{name}_excessive"), what, shared.excessive()));
}

impl Row {
    /// The instruction's counts, under the names that Nsight Compute's source page has.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut out = vec![
            metric("inst_executed", "by warp", self.warps),
            metric("thread_inst_executed", "by thread, guarded off or not", self.threads + self.guarded_off),
            metric("thread_inst_executed_true", "by thread, not guarded off", self.threads),
        ];
        theoretical(&mut out, &self.global);
        wavefronts(&mut out, &self.shared);
        let local = self.local.moved;
        out.push(metric("memory_l2_theoretical_sectors_local", "local memory, sectors of 32 bytes", local));
        for (space, traffic) in
            [("global", &self.global), ("shared", &self.shared), ("dshared", &self.remote), ("local", &self.local)]
        {
            out.push(metric(format!("ptx__requests_{space}"), format!("requests to {space} memory"), traffic.requests));
            out.push(metric(format!("ptx__bytes_{space}"), format!("bytes of {space} memory"), traffic.bytes));
        }
        out.push(metric("ptx__macs", "multiply-accumulates", self.macs));
        let what = "times that a warp's threads parted here";
        out.push(metric("smsp__branch_targets_threads_divergent", what, self.divergent));
        out
    }
}
