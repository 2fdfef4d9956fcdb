//! Clusters: which a kernel may be launched in, and how many run at once.

use std::{
    ffi::c_int,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

use super::{
    abi::{In, Out},
    device::Spec,
    function::{Function, with_function},
    handle::Handle,
    launch::LaunchConfig,
    status::{Answer, Code, Refused, Status, answer},
};

/// Blocks of a cluster on every GPU that has them, and on the simulated one after
/// `CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED` (CUDA programming guide, thread block clusters).
const PORTABLE: u32 = 8;
const NON_PORTABLE: u32 = 16;
/// Of 132 multiprocessors: a cluster runs in one group of them (GPC), and H100 has groups of 16 and 18.
const GROUPS: [u32; 8] = [18, 18, 16, 16, 16, 16, 16, 16];
/// The first architecture with clusters.
const FIRST_CAPABILITY: u32 = 90;

/// What a caller has set for a function's clusters.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// `CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH`, `_HEIGHT`, `_DEPTH`; all 0 where nothing is required.
    required: [AtomicU32; 3],
    non_portable: AtomicBool,
    scheduling: AtomicU32,
}

// Numbers of `CUfunction_attribute`.
const SIZE_MUST_BE_SET: u32 = 10;
const REQUIRED_WIDTH: u32 = 11;
const REQUIRED_DEPTH: u32 = 13;
const NON_PORTABLE_ALLOWED: u32 = 14;
const SCHEDULING_POLICY: u32 = 15;
pub(super) const ATTRIBUTES: std::ops::RangeInclusive<u32> = SIZE_MUST_BE_SET..=SCHEDULING_POLICY;

impl Function {
    fn required_cluster(&self) -> Option<[u32; 3]> {
        let set = self.clusters.required.each_ref().map(|axis| axis.load(Relaxed));
        self.kernel.required_cluster().or((set != [0; 3]).then_some(set))
    }

    fn most_cluster_blocks(&self) -> u32 {
        if self.clusters.non_portable.load(Relaxed) { NON_PORTABLE } else { PORTABLE }
    }

    pub(super) fn cluster_attribute(&self, attribute: u32) -> u32 {
        match attribute {
            SIZE_MUST_BE_SET => self.kernel.explicit_cluster().into(),
            REQUIRED_WIDTH..=REQUIRED_DEPTH => {
                self.required_cluster().map_or(0, |cluster| cluster[(attribute - REQUIRED_WIDTH) as usize])
            }
            NON_PORTABLE_ALLOWED => self.clusters.non_portable.load(Relaxed).into(),
            _ => self.clusters.scheduling.load(Relaxed),
        }
    }

    /// Whether the sizes make sense shows at the launch, as on hardware: they are set one after the other.
    pub(super) fn set_cluster_attribute(&self, spec: &Spec, attribute: u32, value: c_int) -> Answer<()> {
        check_device(spec)?;
        let refuse = |what: &str| Err(Status::InvalidValue.because(format!("{value} for {what}")));
        match (attribute, u32::try_from(value)) {
            (SIZE_MUST_BE_SET, _) => refuse("CLUSTER_SIZE_MUST_BE_SET, which can only be read"),
            (REQUIRED_WIDTH..=REQUIRED_DEPTH, _) if self.kernel.required_cluster().is_some() => {
                let why = format!("the clusters of {} are set in its PTX (.reqnctapercluster)", self.kernel.name());
                Err(Status::NotPermitted.because(why))
            }
            (REQUIRED_WIDTH..=REQUIRED_DEPTH, Ok(value)) => {
                self.clusters.required[(attribute - REQUIRED_WIDTH) as usize].store(value, Relaxed);
                Ok(())
            }
            (NON_PORTABLE_ALLOWED, Ok(value @ (0 | 1))) => {
                self.clusters.non_portable.store(value == 1, Relaxed);
                Ok(())
            }
            (SCHEDULING_POLICY, Ok(value @ 0..=2)) => {
                self.clusters.scheduling.store(value, Relaxed);
                Ok(())
            }
            _ => refuse("a function's cluster attribute"),
        }
    }

    /// The clusters of a launch that asks for `asked`, after every check that hardware makes.
    pub(super) fn cluster_of(&self, spec: &Spec, asked: Option<[u32; 3]>, grid: [u32; 3]) -> Answer<[u32; 3]> {
        let name = self.kernel.name();
        let refuse = |status: Status, why: String| Err(status.because(format!("launch of {name}: {why}")));
        let required = self.required_cluster();
        if let (Some(asked), Some(required)) = (asked, required)
            && asked != required
        {
            let why = format!("clusters of {asked:?} blocks: it requires (.reqnctapercluster) {required:?}");
            return refuse(Status::InvalidClusterSize, why);
        }
        let Some(cluster) = asked.or(required) else {
            if self.kernel.explicit_cluster() {
                let why = "its clusters must be given (.explicitcluster): use cuLaunchKernelEx".to_owned();
                return refuse(Status::InvalidClusterSize, why);
            }
            return Ok([1; 3]);
        };
        if cluster == [1; 3] {
            return Ok(cluster);
        }
        check_device(spec)?;
        let blocks = cluster.iter().fold(1, |product: u32, axis| product.saturating_mul(*axis));
        let most = self.most_cluster_blocks();
        if blocks == 0 || blocks > most {
            let hint = match most {
                PORTABLE => "8 are the most, 16 after CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED",
                _ => "16 are the most",
            };
            return refuse(
                Status::InvalidClusterSize,
                format!("clusters of {cluster:?} blocks, {blocks} in all: {hint}"),
            );
        }
        if let Some(most) = self.kernel.max_cluster_rank().filter(|most| blocks > *most) {
            let why = format!("clusters of {blocks} blocks: it allows (.maxclusterrank) {most}");
            return refuse(Status::InvalidClusterSize, why);
        }
        if let Some(axis) = (0..3).find(|axis| !grid[*axis].is_multiple_of(cluster[*axis])) {
            let name = ["x", "y", "z"][axis];
            let why = format!("a grid of {grid:?} blocks is not made of whole clusters of {cluster:?}: see {name}");
            return refuse(Status::InvalidValue, why);
        }
        Ok(cluster)
    }

    /// Clusters of `blocks` that the GPU runs at once, each in one group of multiprocessors.
    fn active_clusters(&self, spec: &Spec, config: &LaunchConfig, blocks: u32) -> u32 {
        let threads = config.block.iter().fold(1, |product: u32, axis| product.saturating_mul(*axis));
        let each = match threads {
            0 => 0,
            _ => self.active_blocks(spec, threads, config.dynamic_shared as usize),
        };
        GROUPS.iter().map(|group| group * each / blocks).sum()
    }
}

fn check_device(spec: &Spec) -> Answer<()> {
    if spec.capability >= FIRST_CAPABILITY {
        return Ok(());
    }
    Err(unsupported(spec))
}

fn unsupported(spec: &Spec) -> Refused {
    Status::NotSupported.because(format!("{} has no clusters: they come with sm_90", spec.name()))
}

/// 1 where clusters can be launched.
pub(super) fn device_attribute(spec: &Spec) -> u32 {
    (spec.capability >= FIRST_CAPABILITY).into()
}

/// How many clusters of the configuration run at once.
pub(super) extern "C" fn max_active_clusters(out: Out<c_int>, handle: Handle, config: In<LaunchConfig>) -> Code {
    answer(|| {
        let (function, spec) = with_function(handle)?;
        let config = config.get()?;
        let cluster = function.cluster_of(spec, config.attributes()?.cluster, config.grid)?;
        check_device(spec)?;
        out.set(function.active_clusters(spec, &config, cluster.iter().product()) as c_int)
    })
}

/// The most blocks of a cluster of which at least one runs.
pub(super) extern "C" fn max_potential_cluster_size(out: Out<c_int>, handle: Handle, config: In<LaunchConfig>) -> Code {
    answer(|| {
        let (function, spec) = with_function(handle)?;
        check_device(spec)?;
        let config = config.get()?;
        let most = function.most_cluster_blocks().min(function.kernel.max_cluster_rank().unwrap_or(u32::MAX));
        let found = (1..=most).rev().find(|blocks| function.active_clusters(spec, &config, *blocks) > 0);
        match found {
            Some(blocks) => out.set(blocks as c_int),
            None => Err(Status::InvalidValue.because(format!("no block of {} fits", function.kernel.name()))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{super::device::spec_of, *};

    #[test]
    fn groups_are_those_of_the_simulated_hopper() {
        assert_eq!(GROUPS.iter().sum::<u32>(), spec_of("sm_90").multiprocessors);
        assert_eq!((device_attribute(spec_of("sm_90")), device_attribute(spec_of("sm_89"))), (1, 0));
    }
}
