//! `outerscale devices`: what there is to run on.

use super::{
    Common, Done,
    report::{Output, place_json, place_line},
};
use outerscale::{Result, gpu::Driver, ptx::ARCHS};
use std::fmt::Write;

pub(crate) fn run(common: &Common) -> Result<Done> {
    let gpu = common.open()?;
    let limits = gpu.limits();
    let archs: Vec<_> = ARCHS.iter().map(|arch| arch.name).collect();
    let mut text = format!("{}: {}\n", gpu.driver(), place_line(&gpu));
    _ = writeln!(
        text,
        "{} multiprocessors, {} KiB of shared memory a block, {} MiB of L2",
        limits.multiprocessors,
        limits.shared_bytes / 1024,
        limits.l2_bytes >> 20
    );
    _ = writeln!(text, "this build has kernels for {}", archs.join(", "));
    let mut json = place_json(&gpu);
    json["multiprocessors"] = limits.multiprocessors.into();
    json["shared_bytes_per_block"] = limits.shared_bytes.into();
    json["l2_bytes"] = limits.l2_bytes.into();
    json["built_for"] = archs.into();
    json["why_not_cuda"] = match gpu.driver() {
        Driver::Cuda => None::<String>,
        Driver::Sim => libcuda::why_not_cuda(),
    }
    .into();
    Ok(Done { output: Output { text, json }, right: true })
}
