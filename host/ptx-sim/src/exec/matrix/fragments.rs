//! Which element of a matrix a register of a lane holds.
//!
//! One map covers every shape of `mma.sync` and `wgmma` (PTX ISA 9.7.14.5.1 to 10 and 9.7.15.5.1.1): a register
//! holds `per` neighbouring elements of a row of A or a column of B, four lanes hold a row, and the registers of
//! A go down eight rows before they go right. With g = lane / 4 and t = lane % 4.

/// Row and column of element `e` of register `q` of A.
#[inline(always)]
pub(super) fn a_place(lane: usize, q: usize, e: usize, per: usize) -> (usize, usize) {
    (lane / 4 + 8 * (q % 2), per * (lane % 4) + e + 4 * per * (q / 2))
}

/// Row (along k) and column of element `e` of register `q` of B.
#[inline(always)]
pub(super) fn b_place(lane: usize, q: usize, e: usize, per: usize) -> (usize, usize) {
    (per * (lane % 4) + e + 4 * per * q, lane / 4)
}

/// Row and column of element `i` of C and D: of each eight columns, four elements.
#[inline(always)]
pub(super) fn d_place(lane: usize, i: usize) -> (usize, usize) {
    (lane / 4 + 8 * (i / 2 % 2), 8 * (i / 4) + 2 * (lane % 4) + i % 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Row and column of element i of a lane, as the document of the PTX ISA writes them for one shape.
    type Formula = fn(usize, usize, usize) -> (usize, usize);

    /// Every element of an m x n matrix is held once, and by the lane that the formula names.
    fn bijection(
        what: &str,
        size: (usize, usize),
        per: usize,
        map: impl Fn(usize, usize) -> (usize, usize),
        f: Formula,
    ) {
        let elements = size.0 * size.1 / 32;
        let mut seen = HashSet::new();
        for lane in 0..32 {
            for i in 0..elements {
                let place = map(lane, i);
                assert_eq!(place, f(lane / 4, lane % 4, i), "{what}: lane {lane}, element {i}, {per} a register");
                assert!(place.0 < size.0 && place.1 < size.1, "{what}: lane {lane}, element {i} at {place:?}");
                assert!(seen.insert(place), "{what}: {place:?} is held twice");
            }
        }
        assert_eq!(seen.len(), size.0 * size.1, "{what}");
    }

    fn a(what: &str, m: usize, k: usize, per: usize, f: Formula) {
        bijection(what, (m, k), per, |lane, i| a_place(lane, i / per, i % per, per), f);
    }

    fn b(what: &str, k: usize, per: usize, f: Formula) {
        bijection(what, (k, 8), per, |lane, i| b_place(lane, i / per, i % per, per), f);
    }

    /// 0, or 8 where the condition holds.
    fn eight(condition: bool) -> usize {
        if condition { 8 } else { 0 }
    }

    #[test]
    fn fragments_of_a_are_where_the_document_has_them() {
        a("m8n8k4 f64", 8, 4, 1, |g, t, _| (g, t));
        a("m8n8k16 s8", 8, 16, 4, |g, t, i| (g, t * 4 + i));
        a("m16n8k4 tf32, f64", 16, 4, 1, |g, t, i| (g + eight(i == 1), t));
        a("m16n8k8 f16", 16, 8, 2, |g, t, i| (g + eight(i >= 2), t * 2 + (i & 1)));
        a("m16n8k8 tf32, f64", 16, 8, 1, |g, t, i| (g + eight(i == 1 || i == 3), if i < 2 { t } else { t + 4 }));
        a("m16n8k16 f16", 16, 16, 2, |g, t, i| {
            (g + eight(!(i < 2 || (4..6).contains(&i))), t * 2 + (i & 1) + eight(i >= 4))
        });
        a("m16n8k16 f64", 16, 16, 1, |g, t, i| if i % 2 == 0 { (g, i * 2 + t) } else { (g + 8, i * 2 - 2 + t) });
        a("m16n8k16 s8", 16, 16, 4, |g, t, i| (g + eight(i >= 4), t * 4 + (i & 3)));
        a("m16n8k32 s8", 16, 32, 4, |g, t, i| {
            let upper = i < 4 || (8..12).contains(&i);
            (g + eight(!upper), t * 4 + (i & 3) + if i < 8 { 0 } else { 16 })
        });
    }

    #[test]
    fn fragments_of_b_are_where_the_document_has_them() {
        b("m8n8k4 f64", 4, 1, |g, t, _| (t, g));
        b("k8 f16", 8, 2, |g, t, i| (t * 2 + i, g));
        b("k8 tf32, f64", 8, 1, |g, t, i| (if i == 0 { t } else { t + 4 }, g));
        b("k16 f16", 16, 2, |g, t, i| (t * 2 + (i & 1) + eight(i >= 2), g));
        b("k16 f64", 16, 1, |g, t, i| (t + i * 4, g));
        b("k16 s8", 16, 4, |g, t, i| (t * 4 + i, g));
        b("k32 s8", 32, 4, |g, t, i| (t * 4 + (i & 3) + if i < 4 { 0 } else { 16 }, g));
    }

    #[test]
    fn fragments_of_c_and_d_are_where_the_document_has_them() {
        bijection("m8n8", (8, 8), 1, d_place, |g, t, i| (g, t * 2 + (i & 1)));
        bijection("m16n8", (16, 8), 1, d_place, |g, t, i| (g + eight(i >= 2), t * 2 + (i & 1)));
        // wgmma: the 16 rows of one warp, and all columns.
        for n in (8..=256).step_by(8) {
            bijection("m64nN", (16, n), 1, d_place, |g, t, i| {
                let (column, half, bit) = (i / 4, (i / 2) & 1, i & 1);
                (g + 8 * half, 8 * column + 2 * t + bit)
            });
        }
    }
}
