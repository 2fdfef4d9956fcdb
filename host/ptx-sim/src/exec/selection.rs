//! Which blocks of a grid run.

use std::ops::Range;

use super::block::split_mix;
use super::context::Grid;
use crate::launch::Schedule;

/// Numbers of blocks (x fastest), in order, each once.
pub(crate) struct Selection {
    /// Ranges that do not touch, with how many blocks lie before each.
    ranges: Vec<(u64, Range<u64>)>,
    len: u64,
}

impl Selection {
    /// The blocks of `chosen` in a grid of `blocks`; all for `None`. An error says which of them are not there.
    pub(crate) fn new(chosen: Option<&[Range<u64>]>, blocks: u64) -> Result<Self, String> {
        let all = 0..blocks;
        let mut wanted: Vec<Range<u64>> = chosen.unwrap_or(std::slice::from_ref(&all)).to_vec();
        if let Some(range) = wanted.iter().find(|range| range.end > blocks || range.is_empty()) {
            return Err(match range.is_empty() {
                true => format!("an empty range of blocks, {range:?}"),
                false => format!("blocks {range:?} are chosen of a grid of {blocks}"),
            });
        }
        wanted.sort_by_key(|range| range.start);
        let (mut ranges, mut len, mut done): (Vec<(u64, Range<u64>)>, u64, u64) = (Vec::new(), 0, 0);
        for range in wanted {
            let range = range.start.max(done)..range.end;
            if !range.is_empty() {
                ranges.push((len, range.clone()));
                len += range.end - range.start;
                done = range.end;
            }
        }
        Ok(Self { ranges, len })
    }

    /// How many blocks run.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The number of the `index`th block that runs; `index` is less than [`Selection::len`].
    pub(crate) fn number(&self, index: u64) -> u64 {
        let after = self.ranges.partition_point(|(before, _)| *before <= index);
        let (before, range) = &self.ranges[after - 1];
        range.start + (index - before)
    }
}

/// Clusters that change places with each other under a drawn order: those that work together are neighbours, and a
/// grid may have 2^31.
const WINDOW: u64 = 1 << 12;

/// Most blocks of a cluster, of those that a launch has to allow explicitly.
const MOST_BLOCKS: u32 = 16;

/// What a cluster must fulfil; says what it does not.
pub(crate) fn check_cluster(grid: &Grid<'_>) -> Result<(), String> {
    let (launch, cluster) = (grid.launch, grid.cluster);
    let volume = cluster.iter().try_fold(1_u32, |volume, axis| volume.checked_mul(*axis)).unwrap_or(u32::MAX);
    if volume == 0 || volume > MOST_BLOCKS {
        return Err(format!("a cluster of {cluster:?} blocks; it can have 1 to {MOST_BLOCKS}"));
    }
    if let Some(required) = launch.kernel.required_cluster().filter(|required| *required != cluster) {
        return Err(format!("a cluster of {cluster:?} blocks; the kernel's .reqnctapercluster is {required:?}"));
    }
    if let Some(most) = launch.kernel.max_cluster_rank().filter(|most| volume > *most) {
        return Err(format!("a cluster of {volume} blocks; the kernel's .maxclusterrank is {most}"));
    }
    match (0..3).find(|axis| !launch.grid[*axis].is_multiple_of(cluster[*axis])) {
        Some(_) => Err(format!("a grid of {:?} blocks is no whole number of clusters of {cluster:?}", launch.grid)),
        None => Ok(()),
    }
}

/// The clusters of a grid that run: those that have one of the chosen blocks.
pub(crate) struct Clusters {
    grid: [u64; 3],
    shape: [u64; 3],
    selection: Selection,
    /// Their numbers, where clusters have more than one block.
    numbers: Vec<u64>,
}

impl Clusters {
    pub(crate) fn new(grid: &Grid<'_>, selection: Selection) -> Self {
        let (shape, grid) = (grid.cluster.map(u64::from), grid.launch.grid.map(u64::from));
        let mut numbers = Vec::new();
        if shape != [1; 3] {
            let [x, y, _] = grid;
            let [width, height, _] = [grid[0] / shape[0], grid[1] / shape[1], 0];
            numbers.extend((0..selection.len()).map(|index| {
                let block = selection.number(index);
                let at = [block % x / shape[0], block / x % y / shape[1], block / (x * y) / shape[2]];
                at[0] + width * (at[1] + height * at[2])
            }));
            numbers.sort_unstable();
            numbers.dedup();
        }
        Self { grid, shape, selection, numbers }
    }

    fn alone(&self) -> bool {
        self.shape == [1; 3]
    }

    /// How many clusters run.
    pub(crate) fn len(&self) -> u64 {
        if self.alone() { self.selection.len() } else { self.numbers.len() as u64 }
    }

    /// How many blocks that are.
    pub(crate) fn block_count(&self) -> u64 {
        self.len() * self.shape.iter().product::<u64>()
    }

    /// The number of the `index`th cluster that runs.
    pub(crate) fn number(&self, index: u64) -> u64 {
        if self.alone() { self.selection.number(index) } else { self.numbers[index as usize] }
    }

    /// The indices of all clusters in the order in which a schedule runs them, where it matters: upwards, downwards,
    /// or drawn. Hardware promises none (PTX ISA, "Cooperative Thread Arrays").
    pub(crate) fn order(&self, schedule: Schedule) -> Box<dyn Iterator<Item = u64>> {
        let len = self.len();
        match schedule {
            Schedule::Late => Box::new(0..len),
            Schedule::Eager => Box::new((0..len).rev()),
            Schedule::Random(seed) => Box::new((0..len.div_ceil(WINDOW)).flat_map(move |window| {
                let mut indices: Vec<u64> = (window * WINDOW..len.min((window + 1) * WINDOW)).collect();
                let mut state = seed ^ window.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                for at in (1..indices.len()).rev() {
                    indices.swap(at, (split_mix(&mut state) % (at as u64 + 1)) as usize);
                }
                indices
            })),
        }
    }

    /// The blocks of a cluster in the order of their ranks.
    pub(crate) fn blocks(&self, number: u64) -> Vec<[u32; 3]> {
        let [a, b, c] = self.shape;
        let (width, height) = (self.grid[0] / a, self.grid[1] / b);
        let first = [number % width * a, number / width % height * b, number / (width * height) * c];
        let rank = |rank: u64| [first[0] + rank % a, first[1] + rank / a % b, first[2] + rank / (a * b)];
        (0..a * b * c).map(|at| rank(at).map(|axis| axis as u32)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clusters_blocks_lie_together_and_every_block_is_in_one() {
        let selection = Selection::new(None, 4 * 6 * 2).unwrap();
        let mut clusters = Clusters { grid: [4, 6, 2], shape: [2, 3, 1], selection, numbers: (0..8).collect() };
        let mut all: Vec<[u32; 3]> =
            (0..clusters.len()).flat_map(|index| clusters.blocks(clusters.number(index))).collect();
        assert_eq!(all[6..9], [[2, 0, 0], [3, 0, 0], [2, 1, 0]]);
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), clusters.block_count()), (48, 48));
        clusters.shape = [1; 3];
        assert_eq!((clusters.len(), clusters.blocks(clusters.number(47))), (48, vec![[3, 5, 1]]));
    }

    #[test]
    fn blocks_run_once_and_in_order() {
        let chosen = [7..9, 2..4, 3..6, 8..9];
        let found = Selection::new(Some(&chosen), 9).unwrap();
        let numbers: Vec<u64> = (0..found.len()).map(|index| found.number(index)).collect();
        assert_eq!(numbers, [2, 3, 4, 5, 7, 8]);
        let all = Selection::new(None, 1 << 40).unwrap();
        assert_eq!((all.len(), all.number((1 << 40) - 1)), (1 << 40, (1 << 40) - 1));
        assert!(Selection::new(Some(std::slice::from_ref(&(3..10))), 9).is_err_and(|why| why.contains("3..10")));
        assert!(Selection::new(Some(std::slice::from_ref(&(3..3))), 9).is_err_and(|why| why.contains("empty")));
    }
}
