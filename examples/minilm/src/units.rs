//! The linear layers by their names.

use anyhow::{Result, bail};
use std::fmt;

/// What a linear does within its layer of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Query, key and value, stacked to one linear of 3·hidden outputs.
    Qkv,
    /// What becomes of the heads' values.
    AttentionOutput,
    /// The first feed-forward linear; GELU follows.
    Intermediate,
    /// The second feed-forward linear.
    OutputDense,
}

impl Kind {
    /// In the order in which a layer runs them.
    pub const ALL: [Kind; 4] = [Kind::Qkv, Kind::AttentionOutput, Kind::Intermediate, Kind::OutputDense];

    fn name(self) -> &'static str {
        match self {
            Kind::Qkv => "qkv",
            Kind::AttentionOutput => "attention_output",
            Kind::Intermediate => "intermediate",
            Kind::OutputDense => "output_dense",
        }
    }
}

/// One linear of the model, written `L0_qkv`.
///
/// Query, key and value read the same x. They are one unit, for then x is quantized once, and whatever a scheme
/// learns of x, smoothing factors or outlier columns, holds for all three; with one weight scale an output channel,
/// stacking changes no bit of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The layer of the encoder, from 0.
    pub layer: usize,
    /// Which linear of it.
    pub kind: Kind,
}

impl Unit {
    /// Every linear of a model, in the order in which it runs them.
    pub fn all(layers: usize) -> Vec<Unit> {
        (0..layers).flat_map(|layer| Kind::ALL.map(|kind| Unit { layer, kind })).collect()
    }

    /// Its place in [`Unit::all`].
    pub fn index(self) -> usize {
        self.layer * Kind::ALL.len() + self.kind as usize
    }

    /// The linear of a model that has this name.
    ///
    /// # Errors
    /// In one line, with the names that there are.
    pub fn named(name: &str, layers: usize) -> Result<Unit> {
        if let Some(unit) = Unit::all(layers).into_iter().find(|unit| unit.to_string() == name) {
            return Ok(unit);
        }
        let kinds = Kind::ALL.map(Kind::name).join(", ");
        bail!("--linear: no linear is named {name}; they are L0_ to L{}_ and one of {kinds}", layers.saturating_sub(1));
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}_{}", self.layer, self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_and_come() {
        for (index, unit) in Unit::all(6).into_iter().enumerate() {
            assert_eq!(unit.index(), index);
            assert_eq!(Unit::named(&unit.to_string(), 6).unwrap(), unit);
        }
        assert_eq!(Unit::all(6).len(), 24);
        let error = Unit::named("L6_qkv", 6).unwrap_err().to_string();
        assert!(error.contains("L0_ to L5_") && error.contains("output_dense"), "{error}");
    }
}
