//! What hardware refuses of a launch before anything runs.

use super::{
    device::{MAX_BLOCK, MAX_GRID, SHARED_PER_BLOCK, Spec, THREADS_PER_BLOCK},
    status::{Answer, Status},
};

/// The shape of a launch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) grid: [u32; 3],
    pub(super) block: [u32; 3],
    pub(super) dynamic_shared: u32,
}

/// What a kernel allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'a> {
    pub(super) kernel: &'a str,
    pub(super) max_threads: u32,
    pub(super) required_block: Option<[u32; 3]>,
    pub(super) static_shared: u32,
    pub(super) max_dynamic_shared: u32,
}

impl Shape {
    /// Every refusal is CUDA_ERROR_INVALID_VALUE, as the driver answers it.
    pub(super) fn check(&self, spec: &Spec, bounds: Bounds<'_>) -> Answer<()> {
        let refuse = |why: String| Err(Status::InvalidValue.because(format!("launch of {}: {why}", bounds.kernel)));
        for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
            if !(1..=MAX_GRID[axis]).contains(&self.grid[axis]) {
                return refuse(format!("a grid of {:?} blocks: {name} is 1 to {}", self.grid, MAX_GRID[axis]));
            }
            if !(1..=MAX_BLOCK[axis]).contains(&self.block[axis]) {
                return refuse(format!("a block of {:?} threads: {name} is 1 to {}", self.block, MAX_BLOCK[axis]));
            }
        }
        // No overflow: each factor is in its range.
        let threads = self.block.iter().product::<u32>();
        if threads > THREADS_PER_BLOCK {
            return refuse(format!("a block of {threads} threads: {THREADS_PER_BLOCK} are the most"));
        }
        if threads > bounds.max_threads {
            let most = bounds.max_threads;
            return refuse(format!("a block of {threads} threads: its launch bound (.maxntid) allows {most}"));
        }
        if bounds.required_block.is_some_and(|required| required != self.block) {
            let required = bounds.required_block.unwrap_or_default();
            return refuse(format!("a block of {:?} threads: it requires (.reqntid) {required:?}", self.block));
        }
        self.check_shared(spec, bounds).or_else(refuse)
    }

    fn check_shared(&self, spec: &Spec, bounds: Bounds<'_>) -> Result<(), String> {
        let (dynamic, statically, most) = (self.dynamic_shared, bounds.static_shared, bounds.max_dynamic_shared);
        if dynamic <= most && u64::from(dynamic) + u64::from(statically) <= u64::from(spec.shared_per_block_optin) {
            return Ok(());
        }
        let optin = spec.shared_per_block_optin;
        let hint = if u64::from(dynamic) + u64::from(statically) <= u64::from(optin) {
            format!("more than {SHARED_PER_BLOCK} with the static needs cuFuncSetAttribute first")
        } else {
            format!("{optin} with the static are the most on {}", spec.name())
        };
        Err(format!("{dynamic} bytes of dynamic shared memory and {statically} static: {most} are allowed; {hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::device::spec_of, *};

    const BOUNDS: Bounds<'_> = Bounds {
        kernel: "k",
        max_threads: 256,
        required_block: None,
        static_shared: 1024,
        max_dynamic_shared: (48 << 10) - 1024,
    };

    fn refusal(shape: Shape, bounds: Bounds<'_>) -> String {
        let refused = shape.check(spec_of("sm_90"), bounds).unwrap_err();
        assert_eq!(refused.status, Status::InvalidValue);
        refused.why.into_owned()
    }

    #[test]
    fn limits_of_grid_and_block_hold_on_each_axis() {
        let right = Shape { grid: [1, 1, 1], block: [256, 1, 1], dynamic_shared: 0 };
        right.check(spec_of("sm_90"), BOUNDS).unwrap();
        let largest = Shape { grid: [i32::MAX as u32, 65_535, 65_535], ..right };
        largest.check(spec_of("sm_90"), BOUNDS).unwrap();
        for grid in [[0, 1, 1], [1, 0, 1], [1, 65_536, 1], [1, 1, 65_536], [1 << 31, 1, 1]] {
            assert!(refusal(Shape { grid, ..right }, BOUNDS).contains("a grid of"), "{grid:?}");
        }
        for block in [[0, 1, 1], [1, 1, 65], [1025, 1, 1], [u32::MAX, u32::MAX, u32::MAX]] {
            assert!(refusal(Shape { block, ..right }, BOUNDS).contains("a block of"), "{block:?}");
        }
        assert!(refusal(Shape { block: [32, 32, 2], ..right }, BOUNDS).contains("1024 are the most"));
        assert!(refusal(Shape { block: [257, 1, 1], ..right }, BOUNDS).contains(".maxntid"));
    }

    #[test]
    fn a_required_block_is_that_block() {
        let bounds = Bounds { required_block: Some([64, 2, 1]), ..BOUNDS };
        let shape = Shape { grid: [1; 3], block: [64, 2, 1], dynamic_shared: 0 };
        shape.check(spec_of("sm_80"), bounds).unwrap();
        assert!(refusal(Shape { block: [128, 1, 1], ..shape }, bounds).contains(".reqntid"));
    }

    #[test]
    fn much_shared_memory_is_asked_for_before_it_is_used() {
        let shape = Shape { grid: [1; 3], block: [32, 1, 1], dynamic_shared: 48 << 10 };
        assert!(refusal(shape, BOUNDS).contains("cuFuncSetAttribute first"));
        let opted_in = Bounds { max_dynamic_shared: 100 << 10, ..BOUNDS };
        shape.check(spec_of("sm_90"), opted_in).unwrap();
        let too_much = Shape { dynamic_shared: 300 << 10, ..shape };
        assert!(refusal(too_much, opted_in).contains("232448 with the static are the most"));
    }
}
