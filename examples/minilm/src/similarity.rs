//! How near embeddings are to one another.

use ndarray::{Array2, ArrayView1};

/// The cosine of the angle between two vectors, in float64; 1 for the same direction.
pub fn cosine(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    let dot = |a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// How near the rows of one matrix are to those of another.
pub struct Nearness {
    /// The mean cosine.
    pub mean: f64,
    /// The least cosine.
    pub min: f64,
    /// The row that has it.
    pub worst: usize,
}

impl Nearness {
    /// Of two matrices with as many rows, at least one.
    pub fn of(a: &Array2<f32>, b: &Array2<f32>) -> Nearness {
        let cosines: Vec<f64> = a.rows().into_iter().zip(b.rows()).map(|(a, b)| cosine(a, b)).collect();
        // NaN is the least of all: nothing hides it.
        let least =
            cosines.iter().enumerate().min_by(|(_, a), (_, b)| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
        let (worst, min) = least.map_or((0, f64::NAN), |(row, cosine)| (row, *cosine));
        Nearness { mean: cosines.iter().sum::<f64>() / cosines.len() as f64, min, worst }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_worst_row_is_found() {
        let a = array![[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]];
        let b = array![[3.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
        let near = Nearness::of(&a, &b);
        assert_eq!(near.worst, 1);
        assert!((near.min - 0.5f64.sqrt()).abs() < 1e-12 && (near.mean - (2.0 + near.min) / 3.0).abs() < 1e-12);
        let near = Nearness::of(&a, &array![[3.0, 0.0], [1.0, 1.0], [0.0, f32::NAN]]);
        assert_eq!((near.worst, near.min.is_nan(), near.mean.is_nan()), (2, true, true));
    }
}
