//! The encoder in plain float32, but for its linears, which are somebody else's.
//!
//! BERT with the norm after the residual (post-LN): what a LayerNorm makes feeds the next linear and the next
//! residual. Division by smoothing factors can therefore not be folded into the norm's gain, as it is in models that
//! normalise a branch's input only; it has to happen on the way into the linear.

use crate::{
    linears::Linears,
    model::{Config, Model, Norm},
    text::Batch,
    units::{Kind, Unit},
};
use anyhow::Result;
use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis, parallel::prelude::*, s};

/// Embeddings of the sentences [sentences, hidden], each of length 1.
///
/// # Errors
/// Those of the linears.
pub fn embed(model: &Model, batch: &Batch, linears: &mut impl Linears) -> Result<Array2<f32>> {
    let mut x = tokens(model, batch);
    for layer in 0..model.config.num_hidden_layers {
        let mut linear = |kind, x: &Array2<f32>| linears.apply(Unit { layer, kind }, x);
        let qkv = linear(Kind::Qkv, &x)?;
        let heads = attention(&qkv, batch, &model.config);
        let mut residual = linear(Kind::AttentionOutput, &heads)?;
        residual += &x;
        x = normed(residual, &model.attention_norms[layer], &model.config);
        let mut inner = linear(Kind::Intermediate, &x)?;
        inner.par_mapv_inplace(gelu);
        let mut residual = linear(Kind::OutputDense, &inner)?;
        residual += &x;
        x = normed(residual, &model.output_norms[layer], &model.config);
    }
    Ok(pooled(&x, batch))
}

/// The sum of each token's embeddings, normalised: [tokens, hidden].
fn tokens(model: &Model, batch: &Batch) -> Array2<f32> {
    let of = &model.embeddings;
    let mut x = Array2::zeros((batch.tokens(), model.config.hidden_size));
    for sentence in &batch.sentences {
        for (position, token) in sentence.clone().enumerate() {
            let mut row = x.row_mut(token);
            row += &of.word.row(batch.ids[token] as usize);
            row += &of.position.row(position);
            row += &of.token_type;
        }
    }
    normed(x, &of.norm, &model.config)
}

/// LayerNorm of each row.
fn normed(mut x: Array2<f32>, norm: &Norm, config: &Config) -> Array2<f32> {
    let width = config.hidden_size as f32;
    x.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut row| {
        let mean = row.sum() / width;
        row -= mean;
        let variance = row.dot(&row) / width;
        row /= (variance + config.layer_norm_eps).sqrt();
        row *= &norm.gain;
        row += &norm.offset;
    });
    x
}

/// The Gaussian error linear unit by the error function itself, as `hidden_act` = gelu means it.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Attention within each sentence: query, key and value [tokens, 3·hidden] → the heads' values [tokens, hidden].
fn attention(qkv: &Array2<f32>, batch: &Batch, config: &Config) -> Array2<f32> {
    let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
    let width = hidden / heads;
    let mut out = Array2::zeros((batch.tokens(), hidden));
    // Sentences lie one after the other, so their rows of the output can be cut apart and filled in parallel.
    let mut rest = out.view_mut();
    let mut jobs = Vec::new();
    for sentence in &batch.sentences {
        let (mine, others) = rest.split_at(Axis(0), sentence.len());
        jobs.push((sentence.clone(), mine));
        rest = others;
    }
    jobs.into_par_iter().for_each(|(sentence, mut out)| {
        let of_sentence = qkv.slice(s![sentence, ..]);
        for head in 0..heads {
            let columns = |which: usize| {
                let start = which * hidden + head * width;
                of_sentence.slice(s![.., start..start + width])
            };
            let values = attend(columns(0), columns(1), columns(2));
            out.slice_mut(s![.., head * width..(head + 1) * width]).assign(&values);
        }
    });
    out
}

/// One head in one sentence: softmax(q · kᵀ / √width) · v.
fn attend(q: ArrayView2<'_, f32>, k: ArrayView2<'_, f32>, v: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut scores = q.dot(&k.t());
    scores /= (q.ncols() as f32).sqrt();
    scores.axis_iter_mut(Axis(0)).for_each(softmax);
    scores.dot(&v)
}

fn softmax(mut row: ArrayViewMut1<'_, f32>) {
    // Without the maximum, exp could overflow.
    let largest = row.fold(f32::NEG_INFINITY, |largest, v| largest.max(*v));
    row.mapv_inplace(|v| (v - largest).exp());
    let sum = row.sum();
    row /= sum;
}

/// The mean of each sentence's rows, scaled to length 1.
fn pooled(x: &Array2<f32>, batch: &Batch) -> Array2<f32> {
    let mut out = Array2::zeros((batch.sentences.len(), x.ncols()));
    for (sentence, mut row) in batch.sentences.iter().zip(out.rows_mut()) {
        row += &x.slice(s![sentence.clone(), ..]).sum_axis(Axis(0));
        // The division by the number of tokens cancels in the length.
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn gelu_is_the_exact_one() {
        // x·Φ(x) at 1 and −2, from tables of the normal distribution; the tanh approximation gives 0.841192.
        assert!((gelu(1.0) - 0.841_344_8).abs() < 1e-6);
        assert!((gelu(-2.0) + 0.045_500_264).abs() < 1e-6);
    }

    #[test]
    fn softmax_survives_large_scores() {
        let mut row = array![1000.0, 1000.0, -1000.0];
        softmax(row.view_mut());
        assert_eq!(row, array![0.5, 0.5, 0.0]);
    }

    #[test]
    fn tokens_attend_within_their_sentence() {
        let batch = Batch { ids: vec![7, 8], sentences: vec![0..1, 1..2], truncated: 0 };
        let config: Config = serde_json::from_str(
            r#"{"hidden_size": 4, "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1,
                "layer_norm_eps": 1e-12, "max_position_embeddings": 8, "hidden_act": "gelu", "vocab_size": 9,
                "type_vocab_size": 2}"#,
        )
        .unwrap();
        // Two sentences of one token each: the other's does not matter.
        let qkv = Array2::from_shape_fn((2, 12), |(row, col)| (100 * row + col) as f32);
        let values = array![[8.0, 9.0, 10.0, 11.0], [108.0, 109.0, 110.0, 111.0]];
        assert_eq!(attention(&qkv, &batch, &config), values);
    }
}
