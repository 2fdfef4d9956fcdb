//! A small retrieval set, and how two rankings of it differ.

use ndarray::{Array2, Axis};
use serde::Deserialize;

/// The set that comes with the example: for each question one passage that answers it and two of the same field.
const SHIPPED: &str = include_str!("../data/retrieval.json");

/// Passages, and queries that one of them answers.
#[derive(Deserialize)]
pub struct Set {
    /// What is searched.
    pub passages: Vec<String>,
    /// What is searched for.
    pub queries: Vec<Query>,
}

/// A query.
#[derive(Deserialize)]
pub struct Query {
    /// Its text.
    pub text: String,
    /// The passage that answers it, by its number from 0.
    pub relevant: usize,
}

impl Set {
    /// The set that comes with the example.
    ///
    /// # Errors
    /// What is wrong with its file.
    pub fn shipped() -> serde_json::Result<Set> {
        serde_json::from_str(SHIPPED)
    }

    /// Every text that has to be embedded: the passages, then the queries.
    pub fn texts(&self) -> Vec<String> {
        let queries = self.queries.iter().map(|query| &query.text);
        self.passages.iter().chain(queries).cloned().collect()
    }

    /// The rankings by embeddings [texts, hidden] of length 1, in the order of [`Set::texts`].
    pub fn rank(&self, embeddings: &Array2<f32>) -> Vec<Ranking> {
        let (passages, queries) = embeddings.view().split_at(Axis(0), self.passages.len());
        let scores = queries.dot(&passages.t());
        scores.rows().into_iter().map(|row| Ranking::of(&row.to_vec())).collect()
    }
}

/// The passages for one query, the nearest first.
#[derive(Debug, PartialEq)]
pub struct Ranking(Vec<usize>);

impl Ranking {
    /// By the nearness of each passage; of equal ones the first comes first.
    pub fn of(scores: &[f32]) -> Ranking {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        Ranking(order)
    }

    /// The nearest passage; nothing where there is none.
    pub fn top(&self) -> Option<usize> {
        self.0.first().copied()
    }

    /// 1 / the rank of a passage, from 1; 0 where it is not ranked.
    pub fn reciprocal_rank(&self, passage: usize) -> f64 {
        self.0.iter().position(|ranked| *ranked == passage).map_or(0.0, |index| 1.0 / (index + 1) as f64)
    }

    /// Pairs of passages that two rankings of the same passages order differently.
    pub fn swapped(&self, other: &Ranking) -> usize {
        let mut rank = vec![0; other.0.len()];
        for (index, passage) in other.0.iter().enumerate() {
            rank[*passage] = index;
        }
        let mine: Vec<usize> = self.0.iter().map(|passage| rank[*passage]).collect();
        (0..mine.len()).map(|later| mine[..later].iter().filter(|earlier| **earlier > mine[later]).count()).sum()
    }
}

/// How the rankings of one set differ from those by other embeddings, over its queries.
#[derive(Debug, PartialEq)]
pub struct Change {
    /// Queries whose nearest passage is the one that answers them.
    pub right: usize,
    /// The mean of 1 / the rank of the passage that answers the query.
    pub mean_reciprocal_rank: f64,
    /// Queries, by their numbers, whose nearest passage is another than by the other embeddings.
    pub top_changed: Vec<usize>,
    /// Pairs of passages in another order, over all queries.
    pub swapped: usize,
    /// Pairs in all, over all queries.
    pub pairs: usize,
}

impl Change {
    /// Of `rankings` from `reference`, a ranking for each query of the set.
    pub fn of(set: &Set, rankings: &[Ranking], reference: &[Ranking]) -> Change {
        let queries = set.queries.len();
        let of_query = || set.queries.iter().zip(rankings);
        let reciprocal = of_query().map(|(query, ranking)| ranking.reciprocal_rank(query.relevant)).sum::<f64>();
        Change {
            right: of_query().filter(|(query, ranking)| ranking.top() == Some(query.relevant)).count(),
            mean_reciprocal_rank: reciprocal / queries as f64,
            top_changed: (0..queries).filter(|index| rankings[*index].top() != reference[*index].top()).collect(),
            swapped: rankings.iter().zip(reference).map(|(ranking, reference)| ranking.swapped(reference)).sum(),
            pairs: queries * set.passages.len() * set.passages.len().saturating_sub(1) / 2,
        }
    }

    /// Kendall's τ, the mean over the queries: 1 for the same order, −1 for the reverse.
    pub fn tau(&self) -> f64 {
        1.0 - 2.0 * self.swapped as f64 / self.pairs as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn pairs_are_counted_once() {
        let ranking = |order: &[usize]| Ranking(order.to_vec());
        assert_eq!(ranking(&[0, 1, 2, 3]).swapped(&ranking(&[0, 1, 2, 3])), 0);
        assert_eq!(ranking(&[0, 1, 2, 3]).swapped(&ranking(&[3, 2, 1, 0])), 6);
        assert_eq!(ranking(&[2, 0, 1]).swapped(&ranking(&[0, 1, 2])), 2);
        assert_eq!(ranking(&[2, 0, 1]).swapped(&ranking(&[0, 2, 1])), 1);
        assert_eq!(Ranking::of(&[0.1, 0.9, 0.9, 0.2]), ranking(&[1, 2, 3, 0]));
        assert_eq!(ranking(&[1, 2, 0]).reciprocal_rank(2), 0.5);
    }

    #[test]
    fn a_change_is_counted_by_query() {
        let text = str::to_owned;
        let query = |relevant| Query { text: text("q"), relevant };
        let set = Set { passages: vec![text("a"), text("b"), text("c")], queries: vec![query(0), query(1)] };
        let reference = set.rank(&array![[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [1.0, 0.0], [0.6, 0.8]]);
        assert_eq!(reference, [Ranking(vec![0, 1, 2]), Ranking(vec![1, 2, 0])]);
        let change = Change::of(&set, &[Ranking(vec![1, 0, 2]), Ranking(vec![1, 2, 0])], &reference);
        let expected = Change { right: 1, mean_reciprocal_rank: 0.75, top_changed: vec![0], swapped: 1, pairs: 6 };
        assert_eq!(change, expected);
        assert!((change.tau() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_shipped_set_is_sound() {
        let set = Set::shipped().unwrap();
        assert!(set.queries.len() >= 20 && set.passages.len() >= 60);
        let mut relevant: Vec<usize> = set.queries.iter().map(|query| query.relevant).collect();
        relevant.sort_unstable();
        relevant.dedup();
        assert_eq!(relevant.len(), set.queries.len(), "a passage answers two queries");
        assert!(relevant.last().is_some_and(|last| *last < set.passages.len()));
    }
}
