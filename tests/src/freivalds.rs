//! An exact check of a large product without making it a second time (Freivalds 1977).

use crate::random::Random;

/// Checks acc = q_x · q_wᵀ with random vectors r: acc · r must equal q_x · (q_wᵀ · r), exactly, in i64.
/// q_x is m × k, q_w n × k, acc m × n. Says the first row that differs.
///
/// A wrong row passes with a chance of 2⁻³² at most: two vectors of 16 random bits. All sums stay below
/// 2⁶³ for m, n ≤ 2¹⁵ and k ≤ 133,144.
pub fn check_product(acc: &[i32], q_x: &[i8], q_w: &[i8], k: usize, seed: u64) -> Result<(), String> {
    let (m, n) = (q_x.len() / k, q_w.len() / k);
    if acc.len() != m * n {
        return Err(format!("{} sums for an output of {m} × {n}", acc.len()));
    }
    let mut random = Random::new(seed);
    for _ in 0..2 {
        let r: Vec<i64> = (0..n).map(|_| random.below(1 << 16) as i64).collect();
        let mut w_r = vec![0i64; k];
        for (w, r) in q_w.chunks(k).zip(&r) {
            for (sum, w) in w_r.iter_mut().zip(w) {
                *sum += i64::from(*w) * r;
            }
        }
        for (row, (x, acc)) in q_x.chunks(k).zip(acc.chunks(n)).enumerate() {
            let want: i64 = x.iter().zip(&w_r).map(|(x, w)| i64::from(*x) * w).sum();
            let got: i64 = acc.iter().zip(&r).map(|(a, r)| i64::from(*a) * r).sum();
            if want != got {
                return Err(format!("row {row} of the product is wrong (m = {m}, n = {n}, k = {k})"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Codes;

    #[test]
    fn a_right_product_passes_and_any_wrong_sum_is_found() {
        let (m, n, k) = (5, 7, 300);
        let (x, w) = (Codes::Large.matrix(m, k, 1), Codes::Uniform.matrix(n, k, 2));
        let acc = oracle::gemm_i32(&x, &w, m, n, k).unwrap();
        assert_eq!(check_product(&acc, &x, &w, k, 3), Ok(()));
        for i in 0..m * n {
            for change in [1, -1, 1 << 16, i32::MIN] {
                let mut wrong = acc.clone();
                wrong[i] = wrong[i].wrapping_add(change);
                assert!(check_product(&wrong, &x, &w, k, 3).unwrap_err().contains(&format!("row {}", i / n)));
            }
        }
    }
}
