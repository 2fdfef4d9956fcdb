//! Which blocks of a grid run.

use std::ops::Range;

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

#[cfg(test)]
mod tests {
    use super::*;

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
