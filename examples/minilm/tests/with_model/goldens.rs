//! The float32 encoder against torch's: `make_goldens.py` says what is in the file.

use minilm::{
    encoder,
    linears::{Float, Observed},
    similarity::Nearness,
    text::{self, Batch},
    units::Unit,
};
use ndarray::{Array2, ArrayView2, s};
use safetensors::SafeTensors;

const GOLDENS: &[u8] = include_bytes!("../goldens.safetensors");

fn matrix(goldens: &SafeTensors<'_>, name: &str) -> Array2<f32> {
    let view = goldens.tensor(name).unwrap();
    let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Array2::from_shape_vec((view.shape()[0], view.shape()[1]), values).unwrap()
}

fn integers(goldens: &SafeTensors<'_>, name: &str) -> Vec<i32> {
    let view = goldens.tensor(name).unwrap();
    view.data().as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect()
}

fn sentences(goldens: &SafeTensors<'_>) -> Vec<String> {
    text::sentences(std::str::from_utf8(goldens.tensor("sentences").unwrap().data()).unwrap())
}

#[test]
fn tokens_and_embeddings_are_torchs() {
    let Some(model) = super::model() else { return };
    let goldens = SafeTensors::deserialize(GOLDENS).unwrap();
    let batch = Batch::new(&model, &sentences(&goldens)).unwrap();
    assert_eq!(batch.ids.iter().map(|id| *id as i32).collect::<Vec<_>>(), integers(&goldens, "ids"));
    assert_eq!(batch.sentence_id(), integers(&goldens, "sentence_id"));
    assert_eq!(batch.truncated, 1, "the last sentence is longer than the model takes");
    let embeddings = encoder::embed(&model, &batch, &mut Float(&model)).unwrap();
    let golden = matrix(&goldens, "embeddings");
    // All sentences in one batch here, one a call there: sums in another order, nothing else.
    let near = Nearness::of(&embeddings, &golden);
    assert!(near.min >= 1.0 - 1e-6, "sentence {} has cosine 1 - {:e}", near.worst, 1.0 - near.min);
    let largest = (&embeddings - &golden).iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    assert!(largest < 1e-5, "{largest:e}");
}

#[test]
fn inputs_of_the_linears_are_torchs() {
    let Some(model) = super::model() else { return };
    let goldens = SafeTensors::deserialize(GOLDENS).unwrap();
    let batch = Batch::new(&model, &sentences(&goldens)).unwrap();
    let first = batch.sentences[0].clone();
    let mut seen = 0;
    let observe = |unit: Unit, x: ArrayView2<'_, f32>| {
        if unit.layer != 3 {
            return;
        }
        let golden = matrix(&goldens, &unit.to_string());
        let mine = x.slice(s![first.clone(), ..]);
        assert_eq!(mine.dim(), golden.dim(), "{unit}");
        let largest = golden.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        let furthest = (&mine - &golden).iter().fold(0.0f32, |furthest, v| furthest.max(v.abs()));
        assert!(furthest <= 1e-5 * largest, "{unit}: {furthest:e} away, of values up to {largest}");
        seen += 1;
    };
    encoder::embed(&model, &batch, &mut Observed { model: &model, observe }).unwrap();
    assert_eq!(seen, 4);
}
