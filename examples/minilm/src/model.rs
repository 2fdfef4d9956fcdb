//! The files of the model: configuration, tokenizer, weights.

use crate::units::{Kind, Unit};
use anyhow::{Context, Result, bail, ensure};
use ndarray::{Array1, Array2, Axis, concatenate};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::{
    env, fs,
    path::{Path, PathBuf},
};
use tokenizers::{Tokenizer, TruncationParams};

/// Names the folder of the model's files.
pub const FOLDER_VARIABLE: &str = "OUTERSCALE_MINILM";
/// Where `cargo xtask minilm` puts them, in the repository.
const FETCHED: &str = "target/models/minilm";

/// `config.json`, as far as the encoder goes by it.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width between the two feed-forward linears.
    pub intermediate_size: usize,
    /// Heads of attention.
    pub num_attention_heads: usize,
    /// Layers of the encoder.
    pub num_hidden_layers: usize,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f32,
    /// Positions that have an embedding.
    pub max_position_embeddings: usize,
    hidden_act: String,
    vocab_size: usize,
    type_vocab_size: usize,
}

/// `sentence_bert_config.json`.
#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: usize,
}

/// LayerNorm's gain and offset.
pub struct Norm {
    /// Gain `[hidden]`.
    pub gain: Array1<f32>,
    /// Offset `[hidden]`.
    pub offset: Array1<f32>,
}

/// A linear layer in float32.
pub struct Linear {
    /// Weights [N, K].
    pub w: Array2<f32>,
    /// Bias `[N]`.
    pub bias: Array1<f32>,
}

/// The embeddings that a token's vector is the sum of, and the norm of the sum.
pub struct Embeddings {
    /// [vocabulary, hidden].
    pub word: Array2<f32>,
    /// [positions, hidden].
    pub position: Array2<f32>,
    /// The first of the token types, `[hidden]`: a text alone is of that type throughout.
    pub token_type: Array1<f32>,
    /// The norm.
    pub norm: Norm,
}

/// The model, read.
pub struct Model {
    /// Its dimensions.
    pub config: Config,
    /// Text → tokens, truncated to [`Model::max_tokens`], not padded.
    pub tokenizer: Tokenizer,
    /// Tokens that a sentence is cut to, `[CLS]` and `[SEP]` among them.
    pub max_tokens: usize,
    /// The embeddings.
    pub embeddings: Embeddings,
    /// The linears, by [`Unit::index`].
    pub linears: Vec<Linear>,
    /// The norms after attention, one a layer.
    pub attention_norms: Vec<Norm>,
    /// The norms after the feed-forward linears, one a layer.
    pub output_norms: Vec<Norm>,
}

/// The folder of the model's files: `named`, or what [`FOLDER_VARIABLE`] names, or `target/models/minilm` here or in a
/// folder above.
///
/// # Errors
/// In one line, how to get it.
pub fn folder(named: Option<&Path>) -> Result<PathBuf> {
    let variable = env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = named.map(Path::to_owned).or(variable) {
        let weights = folder.join("model.safetensors");
        ensure!(
            weights.is_file(),
            "{}: there is no such file; `cargo xtask minilm` fetches the model",
            weights.display()
        );
        return Ok(folder);
    }
    let here = env::current_dir().context("the current folder cannot be told")?;
    let found =
        here.ancestors().map(|above| above.join(FETCHED)).find(|folder| folder.join("model.safetensors").is_file());
    found.with_context(|| {
        format!("the model is not in {FETCHED}: run `cargo xtask minilm` (84 MB), or name its folder with --model")
    })
}

impl Model {
    /// Reads the model's files.
    ///
    /// # Errors
    /// In one line: the file and what is wrong with it.
    pub fn read(folder: &Path) -> Result<Model> {
        let config: Config = json(&folder.join("config.json"))?;
        let SentenceConfig { max_seq_length } = json(&folder.join("sentence_bert_config.json"))?;
        let max_tokens = max_seq_length.min(config.max_position_embeddings);
        let file = folder.join("tokenizer.json");
        let mut tokenizer = Tokenizer::from_file(&file).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
        // The file's own 128, and its padding, are what the model was trained with; sentence-transformers sets these.
        let truncation = TruncationParams { max_length: max_tokens, ..Default::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
        tokenizer.with_padding(None);

        let file = folder.join("model.safetensors");
        let bytes = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let tensors = SafeTensors::deserialize(&bytes).with_context(|| file.display().to_string())?;
        Model::assemble(&Reader { tensors }, config, tokenizer, max_tokens).with_context(|| file.display().to_string())
    }

    fn assemble(reader: &Reader<'_>, config: Config, tokenizer: Tokenizer, max_tokens: usize) -> Result<Model> {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        ensure!(config.hidden_act == "gelu", "hidden_act must be gelu, is {}", config.hidden_act);
        ensure!(heads > 0 && hidden.is_multiple_of(heads), "{heads} heads do not divide a width of {hidden}");
        let embedding = |name: &str, rows| reader.matrix(&format!("embeddings.{name}_embeddings.weight"), rows, hidden);
        let embeddings = Embeddings {
            word: embedding("word", config.vocab_size)?,
            position: embedding("position", config.max_position_embeddings)?,
            token_type: embedding("token_type", config.type_vocab_size)?.row(0).to_owned(),
            norm: reader.norm("embeddings.LayerNorm", hidden)?,
        };
        let layers = 0..config.num_hidden_layers;
        let norm = |layer: usize, of: &str| reader.norm(&format!("encoder.layer.{layer}.{of}.LayerNorm"), hidden);
        Ok(Model {
            linears: Unit::all(config.num_hidden_layers)
                .into_iter()
                .map(|unit| reader.unit(unit, &config))
                .collect::<Result<_>>()?,
            attention_norms: layers.clone().map(|layer| norm(layer, "attention.output")).collect::<Result<_>>()?,
            output_norms: layers.map(|layer| norm(layer, "output")).collect::<Result<_>>()?,
            config,
            tokenizer,
            max_tokens,
            embeddings,
        })
    }

    /// Every linear, in order.
    pub fn units(&self) -> Vec<Unit> {
        Unit::all(self.config.num_hidden_layers)
    }
}

/// A JSON file.
fn json<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

struct Reader<'a> {
    tensors: SafeTensors<'a>,
}

impl Reader<'_> {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let view = self.tensors.tensor(name)?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            bail!("tensor {name} must be F32 {shape:?}, is {} {:?}", view.dtype(), view.shape());
        }
        Ok(view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Array2<f32>> {
        Ok(Array2::from_shape_vec((rows, cols), self.values(name, &[rows, cols])?)?)
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm> {
        let values = |part: &str| self.values(&format!("{name}.{part}"), &[width]).map(Array1::from_vec);
        Ok(Norm { gain: values("weight")?, offset: values("bias")? })
    }

    fn linear(&self, name: &str, n: usize, k: usize) -> Result<Linear> {
        let bias = self.values(&format!("{name}.bias"), &[n])?;
        Ok(Linear { w: self.matrix(&format!("{name}.weight"), n, k)?, bias: Array1::from_vec(bias) })
    }

    /// The linear of a unit.
    fn unit(&self, unit: Unit, config: &Config) -> Result<Linear> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let prefix = format!("encoder.layer.{}", unit.layer);
        match unit.kind {
            Kind::Qkv => {
                let part = |part| self.linear(&format!("{prefix}.attention.self.{part}"), hidden, hidden);
                let parts = [part("query")?, part("key")?, part("value")?];
                Ok(Linear {
                    w: concatenate(Axis(0), &parts.each_ref().map(|part| part.w.view()))?,
                    bias: concatenate(Axis(0), &parts.each_ref().map(|part| part.bias.view()))?,
                })
            }
            Kind::AttentionOutput => self.linear(&format!("{prefix}.attention.output.dense"), hidden, hidden),
            Kind::Intermediate => self.linear(&format!("{prefix}.intermediate.dense"), inner, hidden),
            Kind::OutputDense => self.linear(&format!("{prefix}.output.dense"), hidden, inner),
        }
    }
}
