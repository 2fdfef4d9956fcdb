//! How a time is taken: runs of calls between two events, all of them waiting in the stream.

use crate::{Gpu, Result, gpu::Driver};
use cust::event::{Event, EventFlags};
use std::time::Instant;

/// A sample lasts at least so long: an event takes about as long as the start of a kernel.
const SAMPLE_SECONDS: f64 = 200e-6;
/// The least and the most samples.
const SAMPLES: (usize, usize) = (5, 1000);

/// One call on one set of operands.
pub(super) type Call = Box<dyn FnMut() -> Result<()>>;

/// Times of calls.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// Seconds of a call, one for each sample: GPU time by events, or wall time of the simulation.
    pub seconds: Vec<f64>,
    /// Calls of a sample.
    pub calls: usize,
    /// Seconds that all samples took.
    pub total: f64,
}

impl Times {
    /// Quantile `q` (0 to 1) of the seconds of a call.
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(((sorted.len().max(1) - 1) as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Times calls for about `budget` seconds, a set of operands each in turn.
pub(super) fn time(gpu: &Gpu, sets: &mut [Call], budget: f64) -> Result<Times> {
    match gpu.driver() {
        Driver::Cuda => by_events(gpu, sets, budget),
        Driver::Sim => by_wall_clock(gpu, sets),
    }
}

/// How many calls a sample has and how many samples there are, where one call takes about `once` seconds.
fn plan(once: f64, sets: usize, budget: f64) -> (usize, usize) {
    let once = once.max(1e-6);
    // Every sample goes through all sets, so that all are alike.
    let calls = ((SAMPLE_SECONDS / once).round() as usize).max(sets).max(1);
    let samples = (budget / (once * calls as f64)) as usize;
    (calls, samples.clamp(SAMPLES.0, SAMPLES.1))
}

fn by_events(gpu: &Gpu, sets: &mut [Call], budget: f64) -> Result<Times> {
    let call = |name: &'static str| move |e: cust::error::CudaError| gpu.cuda_error(name, String::new(), e);
    let event = || Event::new(EventFlags::DEFAULT).map_err(call("cuEventCreate"));
    let count = sets.len();
    let mut sample = |calls: usize| {
        let (start, end) = (event()?, event()?);
        start.record(gpu.stream()).map_err(call("cuEventRecord"))?;
        for index in 0..calls {
            sets[index % count]()?;
        }
        end.record(gpu.stream()).map_err(call("cuEventRecord"))?;
        Ok((start, end))
    };
    let seconds = |(start, end): &(Event, Event)| {
        end.elapsed_time_f32(start).map(|ms| f64::from(ms) / 1e3).map_err(call("cuEventElapsedTime"))
    };
    // Once through all sets: code and translations are cached. Once more, for an estimate.
    sample(count)?;
    let estimate = sample(count)?;
    gpu.synchronize()?;
    let (calls, samples) = plan(seconds(&estimate)? / count as f64, count, budget);
    // Nothing waits between samples: while the GPU works the next launches reach its queue, and none is waited for.
    sample(calls)?;
    let pairs = (0..samples).map(|_| sample(calls)).collect::<Result<Vec<_>>>()?;
    gpu.synchronize()?;
    let of_samples = pairs.iter().map(seconds).collect::<Result<Vec<_>>>()?;
    let total = of_samples.iter().sum();
    Ok(Times { seconds: of_samples.iter().map(|s| s / calls as f64).collect(), calls, total })
}

fn by_wall_clock(gpu: &Gpu, sets: &mut [Call]) -> Result<Times> {
    let mut times = Times { calls: 1, ..Times::default() };
    for index in 0..3 {
        let start = Instant::now();
        sets[index % sets.len()]()?;
        gpu.synchronize()?;
        times.seconds.push(start.elapsed().as_secs_f64());
    }
    times.total = times.seconds.iter().sum();
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times = Times { seconds: vec![3.0, 1.0, 2.0], ..Times::default() };
        assert_eq!((times.quantile(0.0), times.quantile(0.5), times.quantile(1.0)), (1.0, 2.0, 3.0));
        assert!(Times::default().quantile(0.5).is_nan());
    }

    #[test]
    fn samples_last_long_enough_and_go_through_all_sets() {
        assert_eq!(plan(20e-6, 3, 0.1), (10, 500));
        assert_eq!(plan(20e-6, 64, 0.1), (64, 78));
        assert_eq!(plan(10e-3, 2, 0.1), (2, 5));
        assert_eq!(plan(0.0, 1, 10.0), (200, 1000));
    }
}
