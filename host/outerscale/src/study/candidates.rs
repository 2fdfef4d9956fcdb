//! What a study tries on a layer: a row here is a row of every table.

use crate::{
    linear::{OutlierWeights, Scheme},
    ops::Window,
};

/// A scheme with parameters that make sense for a file of a few sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its name in tables: the command line's word, and what is special of it.
    pub name: String,
    /// The scheme.
    pub scheme: Scheme,
}

/// Every scheme.
pub fn candidates() -> Vec<Candidate> {
    let row = |name: &str, scheme| Candidate { name: name.to_owned(), scheme };
    Scheme::ALL
        .into_iter()
        .flat_map(|scheme| match scheme {
            // A file has a few sentences: with an update every 32 of them nothing would be seen to run.
            Scheme::Running(by) => vec![row(scheme.name(), Scheme::Running(Window { every: 1, ..by }))],
            Scheme::LlmInt8 { threshold, .. } => {
                let with = |words, outlier_weights| row(words, Scheme::LlmInt8 { threshold, outlier_weights });
                vec![with("llm-int8, f16", OutlierWeights::F16), with("llm-int8, int8", OutlierWeights::Int8)]
            }
            scheme => vec![row(scheme.name(), scheme)],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_tried_and_no_name_twice() {
        let candidates = candidates();
        for scheme in Scheme::ALL {
            assert!(candidates.iter().any(|c| c.scheme.name() == scheme.name()), "{scheme:?} is not tried");
        }
        let mut names: Vec<_> = candidates.iter().map(|c| &c.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), candidates.len());
    }
}
