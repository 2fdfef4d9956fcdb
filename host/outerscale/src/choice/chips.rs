//! What a multiprocessor of each architecture does in a clock, as the cost model takes it.

/// Figures of an architecture, all for one multiprocessor and one clock of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chip {
    /// Major and minor version.
    pub version: (u32, u32),
    /// int8 multiplications and additions of the tensor cores at their best instruction.
    pub int8_operations: f64,
    /// The share of them that `mma.sync` reaches.
    pub mma_share: f64,
    /// Bytes from L2, all multiprocessors reading.
    pub l2_bytes: f64,
    /// Bytes from memory: the bandwidth of the largest part over its multiprocessors and clock.
    pub dram_bytes: f64,
    /// Shared memory of a multiprocessor, in bytes.
    pub shared_bytes: u32,
    /// Threads of a multiprocessor.
    pub threads: u32,
}

/// Bytes of shared memory that a multiprocessor reads in a clock: 32 banks of four bytes (CUDA C++ Programming Guide,
/// compute capability 5.x and later).
pub const SHARED_READ_BYTES: f64 = 128.0;

/// Clocks from a load of memory to its data. Of H100 478 in L2 and beyond 650 in memory; others are within a fifth
/// (Luo et al., Benchmarking and Dissecting the Nvidia Hopper GPU Architecture, arXiv:2402.13499, table 4).
pub const MEMORY_LATENCY: f64 = 700.0;

/// Clocks from one multiprocessor of a cluster to another (the same, section on distributed shared memory).
pub const PEER_LATENCY: f64 = 180.0;

/// Peak rates by NVIDIA's data sheets and architecture papers: int8 TOPS without sparsity ÷ multiprocessors ÷ boost
/// clock, memory bandwidth likewise. L2: 64 bytes a clock and multiprocessor on the data-centre parts, of which DeepGEMM's
/// model counts 46.6 on sm_90 (heuristics/sm90.hpp); the others scaled likewise from their slices. `mma.sync` on sm_90
/// reaches 62.9 % of `wgmma` (arXiv:2402.13499, section 4.2); sm_100 and later have an instruction of their own too.
pub const CHIPS: [Chip; 6] = [
    // A100: 624 TOPS, 108 multiprocessors, 1.41 GHz, 2.0 TB/s.
    Chip {
        version: (8, 0),
        int8_operations: 4096.0,
        mma_share: 1.0,
        l2_bytes: 46.6,
        dram_bytes: 13.4,
        shared_bytes: 164 << 10,
        threads: 2048,
    },
    // RTX 3090: 284 TOPS, 82, 1.70 GHz, 0.94 TB/s.
    Chip {
        version: (8, 6),
        int8_operations: 2048.0,
        mma_share: 1.0,
        l2_bytes: 32.0,
        dram_bytes: 6.7,
        shared_bytes: 100 << 10,
        threads: 1536,
    },
    // RTX 4090: 661 TOPS, 128, 2.52 GHz, 1.0 TB/s.
    Chip {
        version: (8, 9),
        int8_operations: 2048.0,
        mma_share: 1.0,
        l2_bytes: 32.0,
        dram_bytes: 3.1,
        shared_bytes: 100 << 10,
        threads: 1536,
    },
    // H200: 1979 TOPS, 132, 1.83 GHz, 4.8 TB/s.
    Chip {
        version: (9, 0),
        int8_operations: 8192.0,
        mma_share: 0.629,
        l2_bytes: 46.6,
        dram_bytes: 19.9,
        shared_bytes: 228 << 10,
        threads: 2048,
    },
    // B200: 4500 TOPS, 148, 1.85 GHz, 8.0 TB/s; mma.sync at the rate of sm_90's, which is what is known of it.
    Chip {
        version: (10, 0),
        int8_operations: 16384.0,
        mma_share: 0.315,
        l2_bytes: 46.6,
        dram_bytes: 29.2,
        shared_bytes: 228 << 10,
        threads: 2048,
    },
    // RTX 5090: 838 TOPS, 170, 2.41 GHz, 1.8 TB/s.
    Chip {
        version: (12, 0),
        int8_operations: 2048.0,
        mma_share: 1.0,
        l2_bytes: 32.0,
        dram_bytes: 4.4,
        shared_bytes: 100 << 10,
        threads: 1536,
    },
];

impl Chip {
    /// The figures of an architecture, or of the newest before it.
    pub fn of(version: (u32, u32)) -> &'static Chip {
        CHIPS.iter().rev().find(|chip| chip.version <= version).unwrap_or(&CHIPS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_between_two_takes_the_older_figures() {
        let version = |major, minor| Chip::of((major, minor)).version;
        assert_eq!((version(8, 0), version(8, 7), version(9, 0), version(13, 0)), ((8, 0), (8, 6), (9, 0), (12, 0)));
        assert_eq!(version(7, 5), (8, 0));
        assert!(CHIPS.is_sorted_by_key(|chip| chip.version));
    }

    #[test]
    fn peaks_are_those_of_the_data_sheets() {
        // (multiprocessors, GHz, TOPS, TB/s)
        let sheets = [
            (108, 1.41, 624.0, 2.039),
            (82, 1.695, 284.0, 0.936),
            (128, 2.52, 661.0, 1.008),
            (132, 1.83, 1979.0, 4.8),
            (148, 1.85, 4500.0, 8.0),
            (170, 2.407, 838.0, 1.792),
        ];
        for (chip, (multiprocessors, ghz, tops, terabytes)) in CHIPS.iter().zip(sheets) {
            let clocks = f64::from(multiprocessors) * ghz * 1e-3;
            let off = |modelled: f64, sheet: f64| (modelled / sheet - 1.0).abs();
            assert!(off(chip.int8_operations * clocks, tops) < 0.03, "{chip:?}");
            assert!(off(chip.dram_bytes * clocks, terabytes) < 0.03, "{chip:?}");
        }
    }
}
