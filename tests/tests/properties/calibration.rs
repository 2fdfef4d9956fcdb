//! Statistics and observers: merging is observing everything, on disk and off.

use outerscale::{
    calibration::{Observer, Statistics, StatisticsFile},
    files::OutputFile,
};
use outerscale_tests::{data::Kind, harness::*};
use proptest::prelude::*;
use std::path::Path;

/// Batches x [tokens, K] of one linear; some have no token, many have NaN, zeros or outliers.
fn some_batches() -> impl Strategy<Value = (usize, Vec<Vec<f32>>)> {
    let batch = (0usize..12, prop::sample::select(&Kind::ALL[..]), any::<u64>());
    (1usize..40, prop::collection::vec(batch, 0..12)).prop_map(|(k, batches)| {
        let matrix = |(rows, kind, seed): (usize, Kind, u64)| kind.matrix(rows, k, seed);
        (k, batches.into_iter().map(matrix).collect())
    })
}

fn observed(k: usize, batches: &[Vec<f32>]) -> Statistics {
    let mut statistics = Statistics::new(k);
    batches.iter().for_each(|batch| statistics.observe(batch));
    statistics
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn merging_is_observing_both((k, batches) in some_batches(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let all = observed(k, &batches);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(batches.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.insert(0, 0);
        cuts.push(batches.len());
        let shards: Vec<Statistics> = cuts.windows(2).map(|ends| observed(k, &batches[ends[0]..ends[1]])).collect();
        let mut merged = Statistics::new(k);
        for shard in &shards {
            merged.merge(shard).unwrap();
        }
        prop_assert_eq!(&merged, &all);
        // In any grouping: the later shards first among themselves.
        let mut grouped = shards[0].clone();
        let mut rest = Statistics::new(k);
        shards[1..].iter().for_each(|shard| rest.merge(shard).unwrap());
        grouped.merge(&rest).unwrap();
        prop_assert_eq!(&grouped, &all);
        for observer in Observer::ALL {
            prop_assert_eq!(observer.tensor_absmax(&merged).to_bits(), observer.tensor_absmax(&all).to_bits());
            prop_assert_eq!(merged.calibration(observer), all.calibration(observer));
        }
    }

    #[test]
    fn files_give_back_what_they_took((k, batches) in some_batches(), other in some_batches()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stats");
        let linears = [("L0.a", observed(k, &batches)), ("b", observed(other.0, &other.1))];
        let file = StatisticsFile { linears: linears.map(|(name, statistics)| (name.to_owned(), statistics)).into() };
        file.write(OutputFile::create(&path, None).unwrap()).unwrap();
        prop_assert_eq!(&StatisticsFile::read(&path).unwrap(), &file);
        let bytes = std::fs::read(&path).unwrap();
        file.write(OutputFile::create(&path, None).unwrap()).unwrap();
        prop_assert_eq!(bytes, std::fs::read(&path).unwrap(), "the same statistics, the same bytes");
    }

    /// Whatever a rule chooses, it is a magnitude of the data's range, and absmax clips nothing.
    #[test]
    fn choices_are_in_range((k, batches) in some_batches()) {
        let all = observed(k, &batches);
        let finite = batches.iter().flatten().filter(|v| v.is_finite()).map(|v| v.abs());
        let largest = finite.fold(0.0, f32::max);
        prop_assert_eq!(Observer::Absmax.tensor_absmax(&all), largest);
        prop_assert_eq!(Observer::Percentile(100.0).tensor_absmax(&all), largest);
        for observer in Observer::ALL {
            let chosen = observer.tensor_absmax(&all);
            prop_assert!((0.0..=largest.next_up()).contains(&chosen), "{observer}: {chosen:e} of {largest:e}");
        }
        let inputs: usize = batches.iter().map(Vec::len).sum();
        prop_assert_eq!(all.values.total() + all.non_finite, inputs as u64);
    }
}

/// The moving average of the statistics is the one that the device's rule makes, batch by batch.
#[test]
fn moving_average_is_the_running_scales() {
    let mut batches: Vec<Vec<f32>> = (0..50).map(|seed| Kind::Outliers.matrix(3, 17, seed)).collect();
    // The largest that counts, and batches that the device leaves out.
    let largest = oracle::running_scale::RUNNING_ABSMAX_MAX;
    batches.splice(40..40, [largest, largest.next_up(), f32::MAX].map(|absmax| vec![absmax; 17]));
    for momentum in [0.0f32, 0.5, 0.9, 0.99] {
        let mut state = oracle::RunningState::default();
        for batch in &batches {
            oracle::running_scale(batch, &mut state, oracle::Window { every: 1, momentum });
        }
        let chosen = Observer::MovingAverage(momentum).tensor_absmax(&observed(17, &batches));
        assert_eq!(chosen.to_bits(), state.average.to_bits(), "momentum {momentum}");
    }
}

/// Truncated and changed files are refused in one line, or read as what they then say.
#[test]
fn broken_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stats");
    let linears = [("a".to_owned(), observed(3, &[Kind::Uniform.matrix(4, 3, 1)]))];
    StatisticsFile { linears: linears.into() }.write(OutputFile::create(&path, None).unwrap()).unwrap();
    let good = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| StatisticsFile::parse(Path::new("f"), bytes).unwrap_err().to_string();
    for end in 0..good.len() {
        let error = refused(&good[..end]);
        assert!(error.starts_with("f: ") && !error.contains('\n'), "{error}");
    }
    let changed = |from: &str, to: &str| {
        let text = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = good.clone();
        bytes[text..text + to.len()].copy_from_slice(to.as_bytes());
        refused(&bytes)
    };
    assert!(changed("statistics/1", "statistics/2").contains("version 2"));
    assert!(changed("outerscale-stat", "innerscale-stat").contains("holds no statistics"));
    assert!(changed("a.batch_absmax", "a.batch_minmax").contains("is no field of statistics"));
    assert!(changed("a.batch_absmax", "b.batch_absmax").contains("is missing"));
}
