//! What the batches of one linear's input leave.

use super::{Histogram, Observer};
use crate::linear::Calibration;
use contract::limits::CODE_MAX;
use rayon::prelude::*;

/// What is known of the input x [tokens, K] of one linear, over the batches so far.
///
/// NaN and Inf are counted and left out of everything else. A batch is a sample: a sentence, a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// The largest |x| of each input channel, f32 `[K]`.
    pub channel_absmax: Vec<f32>,
    /// Of |x|.
    pub values: Histogram,
    /// Of the largest |x| of each token.
    pub token_absmax: Histogram,
    /// The largest |x| of each batch, in order.
    pub batch_absmax: Vec<f32>,
    /// How many inputs were NaN or infinite.
    pub non_finite: u64,
}

impl Statistics {
    /// Of no batch yet.
    pub fn new(k: usize) -> Self {
        Statistics {
            channel_absmax: vec![0.0; k],
            values: Histogram::default(),
            token_absmax: Histogram::default(),
            batch_absmax: Vec::new(),
            non_finite: 0,
        }
    }

    /// Takes a batch x [tokens, K] in; one without tokens is no sample.
    ///
    /// # Panics
    /// Where `x` is no whole number of tokens.
    pub fn observe(&mut self, x: &[f32]) {
        let k = self.channel_absmax.len();
        assert!(k > 0 && x.len().is_multiple_of(k), "{} elements are no tokens of {k} channels", x.len());
        if x.is_empty() {
            return;
        }
        self.non_finite += self.values.observe(x);
        let magnitude = |v: &f32| if v.is_finite() { v.abs() } else { 0.0 };
        let tokens: Vec<f32> = x.par_chunks(k).map(|token| token.iter().map(magnitude).fold(0.0, f32::max)).collect();
        self.token_absmax.observe(&tokens);
        self.batch_absmax.push(tokens.into_iter().fold(0.0, f32::max));
        for token in x.chunks_exact(k) {
            for (largest, v) in self.channel_absmax.iter_mut().zip(token) {
                *largest = largest.max(magnitude(v));
            }
        }
    }

    /// Adds another's batches after these: exactly what one would be that had met both.
    ///
    /// # Errors
    /// Where the numbers of channels differ: the two are of different linears; where more was counted than 64 bits hold,
    /// which only a broken file has. Nothing is added then.
    pub fn merge(&mut self, other: &Statistics) -> Result<(), String> {
        let (k, other_k) = (self.channel_absmax.len(), other.channel_absmax.len());
        if k != other_k {
            return Err(format!("has {other_k} input channels, the others have {k}: these are not the same linear"));
        }
        let sums = [
            (self.values.total(), other.values.total()),
            (self.token_absmax.total(), other.token_absmax.total()),
            (self.non_finite, other.non_finite),
        ];
        if sums.iter().any(|(a, b)| a.checked_add(*b).is_none()) {
            return Err("has more numbers than can be counted".to_owned());
        }
        for (largest, v) in self.channel_absmax.iter_mut().zip(&other.channel_absmax) {
            *largest = largest.max(*v);
        }
        self.values.merge(&other.values);
        self.token_absmax.merge(&other.token_absmax);
        self.batch_absmax.extend(&other.batch_absmax);
        self.non_finite += other.non_finite;
        Ok(())
    }

    /// The largest |x|.
    pub fn absmax(&self) -> f32 {
        self.channel_absmax.iter().copied().fold(0.0, f32::max)
    }

    /// By how much one static scale's noise exceeds that of a scale for each token.
    ///
    /// A step s rounds with an error that is even over ±s/2: its mean square is s²/12. One scale A/127 for all adds
    /// (A/127)²/12 to every element, and where |x| > A the clipped part (|x| − A)² besides; token t's own scale
    /// adds (a_t/127)²/12, a_t its absmax, over the tokens the mean of that. The spread is the square root of the
    /// quotient: A / rms(a_t) where nothing is clipped. It is 1 where all tokens have the same absmax, and 1 for zeros.
    pub fn spread(&self, tensor_absmax: f32) -> f64 {
        let limit = f64::from(tensor_absmax);
        let noise = |mean_square: f64| mean_square / f64::from(CODE_MAX).powi(2) / 12.0;
        // What shares a bin with the limit is not clipped.
        let beyond = |magnitude: f64| magnitude > limit * (1.0 + Histogram::RELATIVE_WIDTH);
        let clipped = self.values.mean(|magnitude| if beyond(magnitude) { (magnitude - limit).powi(2) } else { 0.0 });
        let by_token = noise(self.token_absmax.mean(|absmax| absmax * absmax));
        if by_token == 0.0 { 1.0 } else { ((noise(limit * limit) + clipped) / by_token).sqrt() }
    }

    /// What a scheme wants to know, the absmax for one scale being the observer's choice.
    pub fn calibration(&self, observer: Observer) -> Calibration {
        let tensor_absmax = observer.tensor_absmax(self);
        Calibration {
            channel_absmax: self.channel_absmax.clone(),
            tensor_absmax: Some(tensor_absmax),
            spread: Some(self.spread(tensor_absmax)),
            weight_absmax: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_counted_and_left_out() {
        let mut statistics = Statistics::new(2);
        statistics.observe(&[1.0, f32::NAN, -3.0, 0.0]);
        statistics.observe(&[]);
        statistics.observe(&[f32::INFINITY, f32::NAN]);
        assert_eq!((statistics.channel_absmax.clone(), statistics.non_finite), (vec![3.0, 0.0], 3));
        assert_eq!(statistics.batch_absmax, [3.0, 0.0]);
        assert_eq!((statistics.values.total(), statistics.values.zeros()), (3, 1));
        assert_eq!((statistics.token_absmax.total(), statistics.token_absmax.zeros()), (3, 1));
    }

    #[test]
    fn counts_do_not_wrap() {
        let mut statistics = Statistics::new(1);
        statistics.observe(&[1.0, 2.0]);
        let before = statistics.clone();
        let full = Statistics { values: Histogram::from_parts(u64::MAX, &[], &[]).unwrap(), ..Statistics::new(1) };
        let full_of_nan = Statistics { non_finite: u64::MAX, ..Statistics::new(1) };
        assert_eq!(statistics.merge(&full), Err("has more numbers than can be counted".to_owned()));
        assert_eq!(statistics, before);
        assert!(statistics.merge(&full_of_nan).is_ok() && statistics.merge(&full_of_nan).is_err());
    }

    #[test]
    fn spread_is_the_quotient_of_noises() {
        let mut statistics = Statistics::new(2);
        statistics.observe(&[3.0, 0.0, -4.0, 1.0]);
        let rms = f64::sqrt((9.0 + 16.0) / 2.0);
        assert!((statistics.spread(4.0) / (4.0 / rms) - 1.0).abs() < 1e-3, "{}", statistics.spread(4.0));
        // What is clipped weighs more than all that is rounded: 3² in one of four elements.
        let clipped = (9.0 / 4.0 + 4.0 / 4.0) / (rms * rms / 127.0 / 127.0 / 12.0);
        assert!((statistics.spread(1.0) / clipped.sqrt() - 1.0).abs() < 0.02, "{}", statistics.spread(1.0));
        assert_eq!(Statistics::new(3).spread(0.0), 1.0);
    }
}
