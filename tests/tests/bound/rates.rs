//! The static bound of a tile's main loop: whether the tensor cores are what it waits for, by machine code, the
//! simulator's counts and published rates. No time is in it.

use cuda_builder::NvvmArch;

/// What a multiprocessor does in a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Multiprocessor {
    /// Architecture.
    pub(crate) arch: NvvmArch,
    /// A GPU of it.
    pub(crate) gpu: &'static str,
    /// Multiplications and additions of `mma.sync` on int8, dense; `None`: not published.
    pub(crate) operations: Option<f64>,
    /// Bytes from L2 that its share of the GPU's come to.
    pub(crate) l2_bytes: f64,
    /// Bytes of the GPU's memory that its share comes to.
    pub(crate) memory_bytes: f64,
}

/// Warp instructions that the schedulers of a multiprocessor issue in a clock (CUDA C++ Programming Guide, compute
/// capabilities 8.x to 12.x: four schedulers, an instruction each).
pub(crate) const SCHEDULERS: f64 = 4.0;

/// The share of the tensor cores' peak that everything else has to leave within reach.
pub(crate) const SHARE: f64 = 0.75;

/// Bytes of L2 in a clock: 64 a multiprocessor, 6,154 in all (DeepGEMM's model, heuristics/sm90.hpp); A100's 5,120 in
/// all are NVIDIA's own (A100 architecture white paper, 2020).
const fn l2_bytes(multiprocessors: f64) -> f64 {
    let share = 6154.0 / multiprocessors;
    if share < 64.0 { share } else { 64.0 }
}

/// Bytes of memory in a clock of a multiprocessor, from GB/s of all, multiprocessors and GHz.
const fn memory_bytes(gigabytes: f64, multiprocessors: f64, ghz: f64) -> f64 {
    gigabytes / multiprocessors / ghz
}

/// Peaks: int8 TOPS, dense, over multiprocessors and boost clock, of NVIDIA's architecture white papers. Memory: GB/s of the same
/// papers, of the H200's, B200's and B300's data sheets.
pub(crate) const MULTIPROCESSORS: [Multiprocessor; 7] = [
    // 624 TOPS, 108 multiprocessors, 1.41 GHz (A100 architecture white paper, table 1).
    Multiprocessor {
        arch: NvvmArch::Compute80,
        gpu: "A100",
        operations: Some(4096.0),
        l2_bytes: 5120.0 / 108.0,
        memory_bytes: memory_bytes(1555.0, 108.0, 1.41),
    },
    // 284 TOPS, 82, 1.695 GHz (GA102 white paper, appendix A).
    Multiprocessor {
        arch: NvvmArch::Compute86,
        gpu: "RTX 3090",
        operations: Some(2048.0),
        l2_bytes: l2_bytes(82.0),
        memory_bytes: memory_bytes(936.0, 82.0, 1.695),
    },
    // 660.6 TOPS, 128, 2.52 GHz (Ada white paper, appendix A). L40S: 733, 142, 2.52; L4: 242, 58, 2.04.
    Multiprocessor {
        arch: NvvmArch::Compute89,
        gpu: "RTX 4090",
        operations: Some(2048.0),
        l2_bytes: l2_bytes(128.0),
        memory_bytes: memory_bytes(1008.0, 128.0, 2.52),
    },
    // 1979 TOPS, 132, 1.83 GHz are wgmma's 8192; mma.sync reaches 62.9 % of them (arXiv:2402.13499).
    Multiprocessor {
        arch: NvvmArch::Compute90a,
        gpu: "H200",
        operations: Some(0.629 * 8192.0),
        l2_bytes: l2_bytes(132.0),
        memory_bytes: memory_bytes(4800.0, 132.0, 1.83),
    },
    // 4500 TOPS, 148, 1.85 GHz are tcgen05's; nobody says what mma.sync reaches.
    Multiprocessor {
        arch: NvvmArch::Compute100a,
        gpu: "B200",
        operations: None,
        l2_bytes: l2_bytes(148.0),
        memory_bytes: memory_bytes(8000.0, 148.0, 1.85),
    },
    // int8 was taken back on these: ptxas keeps the IMMA five empty instructions apart.
    Multiprocessor {
        arch: NvvmArch::Compute103a,
        gpu: "B300",
        operations: None,
        l2_bytes: l2_bytes(148.0),
        memory_bytes: memory_bytes(8000.0, 148.0, 1.92),
    },
    // 838 TOPS, 170, 2.407 GHz (RTX Blackwell white paper, appendix A).
    Multiprocessor {
        arch: NvvmArch::Compute120,
        gpu: "RTX 5090",
        operations: Some(2048.0),
        l2_bytes: l2_bytes(170.0),
        memory_bytes: memory_bytes(1792.0, 170.0, 2.407),
    },
];

/// What a k_block of a tile takes, for a whole block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Round {
    /// Multiplications and additions.
    pub(crate) operations: f64,
    /// Turns of the schedulers, padding by ptxas among them.
    pub(crate) issue_slots: f64,
    /// Wavefronts of shared memory: a clock each.
    pub(crate) wavefronts: f64,
    /// Bytes from global memory, hence through L2.
    pub(crate) l2_bytes: f64,
}

/// The same in clocks of a multiprocessor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clocks {
    /// Of the tensor cores, where their rate is known.
    pub(crate) tensor: Option<f64>,
    /// Of the schedulers.
    pub(crate) issue: f64,
    /// Of shared memory.
    pub(crate) shared: f64,
    /// Of L2.
    pub(crate) l2: f64,
}

impl Multiprocessor {
    /// How long a round takes each part of it.
    pub(crate) fn clocks(&self, round: &Round) -> Clocks {
        Clocks {
            tensor: self.operations.map(|operations| round.operations / operations),
            issue: round.issue_slots / SCHEDULERS,
            shared: round.wavefronts,
            l2: round.l2_bytes / self.l2_bytes,
        }
    }
}

impl Clocks {
    /// The longest but the tensor cores.
    pub(crate) fn others(&self) -> f64 {
        self.issue.max(self.shared).max(self.l2)
    }

    /// The share of the tensor cores' peak that the others leave within reach, at most 1; `None` where it is not known.
    pub(crate) fn reach(&self) -> Option<f64> {
        self.tensor.map(|tensor| (tensor / self.others()).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_part_decides() {
        let a100 = MULTIPROCESSORS[0];
        let round = Round { operations: 4096.0 * 100.0, issue_slots: 200.0, wavefronts: 120.0, l2_bytes: 4740.0 };
        let clocks = a100.clocks(&round);
        assert_eq!((clocks.tensor, clocks.issue, clocks.others()), (Some(100.0), 50.0, 120.0));
        assert!((clocks.reach().unwrap() - 100.0 / 120.0).abs() < 1e-9);
        let free = a100.clocks(&Round { wavefronts: 10.0, l2_bytes: 10.0, ..round });
        assert_eq!(free.reach(), Some(1.0));
    }

    #[test]
    fn rates_are_those_of_the_data_sheets() {
        // TOPS, multiprocessors, GHz.
        let sheets =
            [(0, 624.0, 108.0, 1.41), (1, 284.0, 82.0, 1.695), (2, 660.6, 128.0, 2.52), (6, 838.0, 170.0, 2.407)];
        for (index, tops, multiprocessors, ghz) in sheets {
            let rate = MULTIPROCESSORS[index].operations.unwrap();
            assert!((tops * 1e3 / multiprocessors / ghz / rate - 1.0).abs() < 0.01, "{}", MULTIPROCESSORS[index].gpu);
        }
    }
}
