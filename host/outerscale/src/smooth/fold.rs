//! Folding: the division by the factors, done once in the parameters of the norm before.

use super::{Factors, Real};
use crate::{Error, Result};

/// The parameters of a normalization whose output is x, `[K]` each: x_j = n_j · weight_j (+ bias_j), n the normalized
/// input.
///
/// A norm that multiplies by 1 + weight is given as 1 + weight, one without parameters as ones. With f32 parameters the
/// folded ones are rounded once; with f64 the same code serves exact-arithmetic checks.
#[derive(Clone, Debug, PartialEq)]
pub enum Norm<T> {
    /// LayerNorm (Ba and others 2016, arXiv 1607.06450).
    LayerNorm {
        /// γ.
        weight: Vec<T>,
        /// β.
        bias: Vec<T>,
    },
    /// RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467).
    RmsNorm {
        /// The gain.
        weight: Vec<T>,
    },
}

impl<T: Real> Norm<T> {
    /// The norm that gives x / s: weight and bias over s. The linears behind it take [`Factors::weights`].
    ///
    /// Only where these linears are all that read its output (the [module](super)'s own text says why).
    ///
    /// # Errors
    /// `norm` where it has another K than the factors.
    pub fn folded(&self, factors: &Factors) -> Result<Norm<T>> {
        let over = |name, parameters: &[T]| {
            let (got, want) = (parameters.len(), factors.values().len());
            if got == want {
                return Ok(factors.divide_columns(parameters));
            }
            Err(Error::argument("smoothing", "norm", format!("its {name} has {got} numbers, the factors {want}")))
        };
        Ok(match self {
            Norm::LayerNorm { weight, bias } => {
                Norm::LayerNorm { weight: over("weight", weight)?, bias: over("bias", bias)? }
            }
            Norm::RmsNorm { weight } => Norm::RmsNorm { weight: over("weight", weight)? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_divided() {
        let s = Factors::given(vec![2.0, 0.5]).unwrap();
        let norm = Norm::LayerNorm { weight: vec![1.0f32, 1.0], bias: vec![3.0, -1.0] };
        let folded = Norm::LayerNorm { weight: vec![0.5, 2.0], bias: vec![1.5, -2.0] };
        assert_eq!(norm.folded(&s).unwrap(), folded);
        assert_eq!(
            Norm::RmsNorm { weight: vec![3.0f64; 2] }.folded(&s).unwrap(),
            Norm::RmsNorm { weight: vec![1.5, 6.0] }
        );
        let error = Norm::RmsNorm { weight: vec![1.0f32; 3] }.folded(&s).unwrap_err().to_string();
        assert_eq!(error, "smoothing: norm: its weight has 3 numbers, the factors 2");
    }
}
