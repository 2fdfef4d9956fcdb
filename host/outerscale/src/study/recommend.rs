//! Stated rules from what schemes lose and cost to the one to take.
//!
//! 1. A scheme that the workload cannot afford is refused, with the reason.
//! 2. Of the others, those whose error is at most [`NEAR`] times the best of them are as good as it.
//! 3. Of these the cheapest is taken: by launches and then bytes read for decode, by operations and then launches for
//!    prefill and batch; where costs are equal, the one with the smallest error.
//! 4. Where even the best loses more than [`MOST_ERROR`], none is recommended: the layer stays in 16 bits.

use super::cost::FLOAT_WEIGHT;
use crate::report::{percent, quantity};
use serde::Serialize;

/// So many times the best error, 3.5 dB, counts as good as the best: a choice that the report states.
pub const NEAR: f64 = 1.5;
/// The relative error of a layer beyond which it is better left in 16 bits.
pub const MOST_ERROR: f64 = 0.05;
/// Decode: the most kernels a batch. A product of a few tokens lasts about as long as a launch takes.
pub const MOST_LAUNCHES: u64 = 3;
/// Decode: the most that is held beside the int8 weights, as a share of them. Memory that weights fill, no cache has.
pub const MOST_HELD: f64 = 0.5;
/// Prefill and batch: the most that operations outside of the tensor cores may add, as a share of the product's time.
pub const MOST_ADDED: f64 = 0.25;

/// What the linear layers do for a living.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// A token or a few at a time: reading weights and launching kernels is what takes time.
    Decode,
    /// Thousands of tokens at a time: operations are what takes time.
    #[default]
    Prefill,
    /// Many requests together: operations, and each must get what it would get alone.
    Batch,
}

impl Workload {
    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Workload::Decode => "decode",
            Workload::Prefill => "prefill",
            Workload::Batch => "batch",
        }
    }
}

/// What a scheme gives and takes on a layer, or on all layers together.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The scheme.
    pub scheme: String,
    /// Its relative error; over several layers the geometric mean.
    pub relative_error: f64,
    /// The largest of its relative errors.
    pub worst_error: f64,
    /// Int8 multiply-adds of a token, N · K; as many bytes are the weights.
    pub products: u64,
    /// Bytes held beside the weights.
    pub held_bytes: u64,
    /// Bytes of weights that a batch reads.
    pub read_bytes: u64,
    /// Operations of a token beside quotients and product.
    pub operations: u64,
    /// Kernels a batch.
    pub launches: u64,
    /// How often x is read.
    pub x_reads: u64,
    /// Whether a token's result depends on its company.
    pub is_batch_dependent: bool,
}

/// What to take, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Recommendation {
    /// The scheme; none where no scheme serves.
    pub scheme: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// The schemes that the workload cannot afford.
    pub refused: Vec<Refusal>,
}

/// A scheme that a workload cannot afford.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refusal {
    /// The scheme.
    pub scheme: String,
    /// Why.
    pub why: String,
}

impl Offer {
    /// What the operations add to the product's time, as a share of it.
    fn added(&self) -> f64 {
        FLOAT_WEIGHT * self.operations as f64 / self.products as f64
    }

    /// Why a workload cannot afford it.
    fn refusal(&self, workload: Workload) -> Option<String> {
        let too_slow = || {
            (self.added() > MOST_ADDED).then(|| {
                format!(
                    "{} operations a token outside of the tensor cores add {:.0} % to the product's time, more than {:.0} %",
                    quantity(self.operations),
                    100.0 * self.added(),
                    100.0 * MOST_ADDED
                )
            })
        };
        match workload {
            Workload::Decode if self.launches > MOST_LAUNCHES => {
                Some(format!("launches {} kernels a batch, more than {MOST_LAUNCHES}", self.launches))
            }
            Workload::Decode if self.held_bytes as f64 > MOST_HELD * self.products as f64 => Some(format!(
                "holds {} bytes beside {} bytes of int8 weights",
                quantity(self.held_bytes),
                quantity(self.products)
            )),
            Workload::Batch if self.is_batch_dependent => {
                Some("makes a token's result depend on the other tokens of its batch".to_owned())
            }
            Workload::Prefill | Workload::Batch => too_slow(),
            Workload::Decode => None,
        }
    }

    /// What is compared, the lesser the better.
    fn price(&self, workload: Workload) -> (u64, u64) {
        match workload {
            Workload::Decode => (self.launches, self.read_bytes),
            Workload::Prefill | Workload::Batch => (self.operations, self.launches),
        }
    }

    /// The price in words.
    fn price_words(&self, workload: Workload) -> String {
        match workload {
            Workload::Decode => {
                format!("{} launches and {} bytes of weights a batch", self.launches, quantity(self.read_bytes))
            }
            Workload::Prefill | Workload::Batch => {
                format!("{} more operations a token and {} launches", quantity(self.operations), self.launches)
            }
        }
    }
}

/// Chooses by the rules above.
pub fn recommend(offers: &[Offer], workload: Workload) -> Recommendation {
    let refused: Vec<Refusal> = offers
        .iter()
        .filter_map(|o| o.refusal(workload).map(|why| Refusal { scheme: o.scheme.clone(), why }))
        .collect();
    let affordable = offers.iter().filter(|o| o.refusal(workload).is_none() && !o.relative_error.is_nan());
    let Some(best) = affordable.clone().min_by(|a, b| a.relative_error.total_cmp(&b.relative_error)) else {
        let reason = format!("No scheme that {} can afford ran.", workload.name());
        return Recommendation { scheme: None, reason, refused };
    };
    if best.relative_error > MOST_ERROR {
        let reason = format!(
            "Leave it in 16 bits: even {} loses {}, more than {}.",
            best.scheme,
            percent(best.relative_error),
            percent(MOST_ERROR)
        );
        return Recommendation { scheme: None, reason, refused };
    }
    let near = affordable.filter(|o| {
        o.relative_error <= NEAR * best.relative_error && o.worst_error <= (NEAR * best.worst_error).max(MOST_ERROR)
    });
    let order = |o: &Offer| (o.price(workload), o.relative_error);
    let chosen = near.min_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(std::cmp::Ordering::Equal));
    let chosen = chosen.unwrap_or(best);
    let price = chosen.price_words(workload);
    let mut reason = if chosen.scheme == best.scheme {
        format!(
            "The smallest error that {} can afford, {}, and no cheaper scheme comes within {NEAR} times of it; it costs {price}.",
            workload.name(),
            percent(best.relative_error)
        )
    } else {
        format!(
            "Its error, {}, is within {NEAR} times the best that {} can afford ({} with {}), and it is the cheapest of those: {price}.",
            percent(chosen.relative_error),
            workload.name(),
            best.scheme,
            percent(best.relative_error)
        )
    };
    if chosen.worst_error > MOST_ERROR {
        reason += &format!(" On its worst layer it loses {}: leave that one in 16 bits.", percent(chosen.worst_error));
    }
    Recommendation { scheme: Some(chosen.scheme.clone()), reason, refused }
}

/// The schemes that every layer offers, over all layers: geometric mean and worst of the errors, sums of the costs.
pub fn over_all(layers: &[Vec<Offer>]) -> Vec<Offer> {
    let Some((first, others)) = layers.split_first() else { return Vec::new() };
    let of = |offer: &Offer| {
        let mut total = offer.clone();
        let mut logarithms = offer.relative_error.ln();
        for layer in others {
            let other = layer.iter().find(|other| other.scheme == offer.scheme)?;
            logarithms += other.relative_error.ln();
            total.worst_error = total.worst_error.max(other.worst_error);
            total.products += other.products;
            total.held_bytes += other.held_bytes;
            total.read_bytes += other.read_bytes;
            total.operations += other.operations;
            // Launches are a batch's and a layer's: the most of any.
            total.launches = total.launches.max(other.launches);
            total.x_reads = total.x_reads.max(other.x_reads);
            total.is_batch_dependent |= other.is_batch_dependent;
        }
        total.relative_error = (logarithms / layers.len() as f64).exp();
        Some(total)
    };
    first.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(scheme: &str, error: f64) -> Offer {
        Offer {
            scheme: scheme.to_owned(),
            relative_error: error,
            worst_error: error,
            products: 1_000_000,
            held_bytes: 4000,
            read_bytes: 1_004_000,
            operations: 1000,
            launches: 2,
            x_reads: 1,
            is_batch_dependent: false,
        }
    }

    fn choice(offers: &[Offer], workload: Workload) -> Option<String> {
        recommend(offers, workload).scheme
    }

    const ALL: [Workload; 3] = [Workload::Decode, Workload::Prefill, Workload::Batch];

    #[test]
    fn the_cheapest_of_the_near_ones_is_taken() {
        let cheap = Offer { operations: 0, read_bytes: 1_000_000, ..offer("cheap", 0.0149) };
        for workload in ALL {
            assert_eq!(choice(&[offer("best", 0.01), cheap.clone()], workload).as_deref(), Some("cheap"));
            let far = Offer { relative_error: 0.0151, ..cheap.clone() };
            assert_eq!(choice(&[offer("best", 0.01), far], workload).as_deref(), Some("best"));
            // At the same price the smaller error.
            assert_eq!(choice(&[offer("a", 0.012), offer("b", 0.011)], workload).as_deref(), Some("b"));
        }
    }

    #[test]
    fn what_counts_is_the_workloads() {
        let few_launches = Offer { operations: 5000, ..offer("few launches", 0.01) };
        let few_operations = Offer { launches: 3, operations: 10, ..offer("few operations", 0.01) };
        let offers = [few_launches, few_operations];
        assert_eq!(choice(&offers, Workload::Decode).as_deref(), Some("few launches"));
        assert_eq!(choice(&offers, Workload::Prefill).as_deref(), Some("few operations"));
    }

    #[test]
    fn a_workload_refuses_what_it_cannot_afford() {
        let plain = offer("plain", 0.02);
        let refused =
            |other: Offer| ALL.map(|workload| recommend(&[plain.clone(), other.clone()], workload).refused.len());
        assert_eq!(refused(Offer { launches: 4, ..offer("launches", 0.001) }), [1, 0, 0]);
        assert_eq!(refused(Offer { held_bytes: 2_000_000, ..offer("copy", 0.001) }), [1, 0, 0]);
        assert_eq!(refused(Offer { is_batch_dependent: true, ..offer("company", 0.001) }), [0, 0, 1]);
        // 8,000 float operations count as 256,000 of the million products.
        assert_eq!(refused(Offer { operations: 8000, ..offer("slow", 0.001) }), [0, 1, 1]);
        let taken = recommend(&[plain, Offer { is_batch_dependent: true, ..offer("company", 0.001) }], Workload::Batch);
        assert_eq!(taken.scheme.as_deref(), Some("plain"));
        assert!(taken.refused[0].why.contains("other tokens"), "{taken:?}");
    }

    #[test]
    fn a_layer_that_every_scheme_spoils_stays_as_it_is() {
        for workload in ALL {
            assert_eq!(choice(&[offer("a", 0.051), offer("b", f64::INFINITY)], workload), None);
            assert_eq!(choice(&[offer("nan", f64::NAN)], workload), None);
            assert_eq!(choice(&[], workload), None);
            assert_eq!(choice(&[offer("a", 0.049), offer("nan", f64::NAN)], workload).as_deref(), Some("a"));
        }
    }

    #[test]
    fn a_layer_that_the_choice_spoils_is_told() {
        let layers = [vec![offer("a", 0.001)], vec![offer("a", 0.2)]];
        let reason = recommend(&over_all(&layers), Workload::Prefill).reason;
        assert!(reason.ends_with("loses 20.000 %: leave that one in 16 bits."), "{reason}");
    }

    #[test]
    fn over_all_layers_the_worst_counts_too() {
        let layers = [
            vec![offer("steady", 0.02), Offer { operations: 0, ..offer("uneven", 0.01) }, offer("absent", 0.001)],
            vec![offer("steady", 0.02), Offer { operations: 0, ..offer("uneven", 0.08) }],
        ];
        let all = over_all(&layers);
        assert_eq!(all.iter().map(|o| &*o.scheme).collect::<Vec<_>>(), ["steady", "uneven"]);
        assert!((all[1].relative_error - (0.01f64 * 0.08).sqrt()).abs() < 1e-12);
        assert_eq!((all[1].worst_error, all[0].operations), (0.08, 2000));
        // Its mean is within 1.5 times and it is cheaper, but it spoils a layer.
        assert_eq!(choice(&all, Workload::Prefill).as_deref(), Some("steady"));
        assert!(over_all(&[]).is_empty());
    }
}
