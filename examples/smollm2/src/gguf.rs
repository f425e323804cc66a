//! A model from a GGUF file: its shape, its weights and its tokenizer.

use crate::{Config, Error, Layer, Matrix, Result, Tokenizer, Weights};
use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// An open GGUF file of the Llama architecture.
pub struct Gguf<R = BufReader<File>> {
    path: PathBuf,
    content: Content,
    reader: R,
    /// Bytes of the file.
    length: u64,
}

impl Gguf {
    /// Opens a file and reads what it says of itself.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is not there or not GGUF, [`Error::Model`] for another architecture.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        Self::read(path, BufReader::new(file))
    }
}

impl<R: Read + Seek> Gguf<R> {
    /// As [`open`](Gguf::open), from a reader; `path` is for messages.
    ///
    /// # Errors
    /// As [`open`](Gguf::open).
    pub fn read(path: &Path, mut reader: R) -> Result<Self> {
        let length = reader.seek(SeekFrom::End(0)).and_then(|length| reader.rewind().map(|()| length));
        let length = length.map_err(|error| Error::file(path, error))?;
        let content = Content::read(&mut reader).map_err(|error| Error::file(path, error))?;
        let gguf = Self { path: path.to_owned(), content, reader, length };
        match gguf.text("general.architecture")? {
            "llama" => Ok(gguf),
            other => Err(Error::model("general.architecture", "llama", other)),
        }
    }

    /// The shape of the model.
    ///
    /// # Errors
    /// [`Error::Model`] for a key that is not there, or a shape that no runner can run.
    pub fn config(&self) -> Result<Config> {
        let hidden = self.count("llama.embedding_length")?;
        let heads = self.count("llama.attention.head_count")?;
        let config = Config {
            layers: self.count("llama.block_count")?,
            hidden,
            intermediate: self.count("llama.feed_forward_length")?,
            heads,
            kv_heads: self.count("llama.attention.head_count_kv")?,
            head_dim: self.count("llama.rope.dimension_count")?,
            vocab: self.list("tokenizer.ggml.tokens")?.len(),
            context: self.count("llama.context_length")?,
            rope_theta: self.number("llama.rope.freq_base")?,
            rms_eps: self.number("llama.attention.layer_norm_rms_epsilon")?,
        };
        config.check()?;
        Ok(config)
    }

    /// All weights, dequantised. The rows of `q` and `k`, which GGUF keeps in the order of interleaved rotations, are
    /// converted to Hugging Face's. `done` is called for each tensor.
    ///
    /// # Errors
    /// [`Error::Model`] for a tensor that is not there or not of its shape, [`Error::File`] for one that cannot be read.
    pub fn weights(&mut self, mut done: impl FnMut()) -> Result<Weights> {
        let config = self.config()?;
        let embedding = self.matrix("token_embd.weight", &mut done)?;
        let norm = self.vector("output_norm.weight", &mut done)?;
        let layer = |i: usize| -> Result<Layer> {
            let mut matrix = |name: &str| self.matrix(&format!("blk.{i}.{name}.weight"), &mut done);
            let (q, k) = (matrix("attn_q")?, matrix("attn_k")?);
            let [v, o] = [matrix("attn_v")?, matrix("attn_output")?];
            let [gate, up, down] = [matrix("ffn_gate")?, matrix("ffn_up")?, matrix("ffn_down")?];
            let mut vector = |name: &str| self.vector(&format!("blk.{i}.{name}.weight"), &mut done);
            Ok(Layer {
                attention_norm: vector("attn_norm")?,
                q: halves(q, config.head_dim),
                k: halves(k, config.head_dim),
                v,
                o,
                mlp_norm: vector("ffn_norm")?,
                gate,
                up,
                down,
            })
        };
        let layers = (0..config.layers).map(layer).collect::<Result<_>>()?;
        let weights = Weights { config, embedding, layers, norm };
        weights.check()?;
        Ok(weights)
    }

    /// Tensors in the file.
    pub fn tensors(&self) -> usize {
        self.content.tensor_infos.len()
    }

    /// The byte-level BPE tokenizer inside.
    ///
    /// # Errors
    /// [`Error::Model`] for a tokenizer of another kind or with parts missing.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let (model, split) = (self.text("tokenizer.ggml.model")?, self.text("tokenizer.ggml.pre")?);
        if (model, split) != ("gpt2", "smollm") {
            let expected = "`gpt2` with the pre-tokenizer `smollm`";
            return Err(Error::model("tokenizer.ggml.model", expected, format!("`{model}` with `{split}`")));
        }
        let texts = |key: &str| -> Result<Vec<String>> {
            let text = |value: &Value| value.to_string().cloned().map_err(|error| self.damaged(key, error));
            self.list(key)?.iter().map(text).collect()
        };
        let kind =
            |value: &Value| value.to_i32().map_err(|error| self.damaged("tokenizer.ggml.token_type", error));
        let kinds = self.list("tokenizer.ggml.token_type")?.iter().map(kind).collect::<Result<Vec<_>>>()?;
        let end = self.count("tokenizer.ggml.eos_token_id")? as u32;
        Tokenizer::new(texts("tokenizer.ggml.tokens")?, &kinds, &texts("tokenizer.ggml.merges")?, end)
    }

    fn value(&self, key: &str) -> Result<&Value> {
        self.content.metadata.get(key).ok_or_else(|| Error::model(key, "a value", "no such key in the file"))
    }

    fn damaged(&self, key: &str, error: candle_core::Error) -> Error {
        Error::file(&self.path, format!("`{key}`: {error}"))
    }

    fn text(&self, key: &str) -> Result<&str> {
        Ok(self.value(key)?.to_string().map_err(|error| self.damaged(key, error))?)
    }

    fn list(&self, key: &str) -> Result<&[Value]> {
        Ok(self.value(key)?.to_vec().map_err(|error| self.damaged(key, error))?)
    }

    fn count(&self, key: &str) -> Result<usize> {
        Ok(self.value(key)?.to_u32().map_err(|error| self.damaged(key, error))? as usize)
    }

    fn number(&self, key: &str) -> Result<f64> {
        let value = self.value(key)?.to_f32().map_err(|error| self.damaged(key, error))?;
        // The nearest f64 to what was written: 1e-5 was, not 9.999999747e-6.
        value.to_string().parse().map_err(|_| Error::model(key, "a number", value.to_string()))
    }

    /// A tensor's shape and elements.
    fn tensor(&mut self, name: &str, done: &mut impl FnMut()) -> Result<(Vec<usize>, Vec<f32>)> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(Error::model(name, "a tensor", "no such tensor in the file"));
        };
        // Memory is asked for by what the file says: no more than there can be.
        let (kind, dims) = (info.ggml_dtype, info.shape.dims());
        let elements = dims.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let bytes =
            elements.and_then(|elements| (elements / kind.block_size()).checked_mul(kind.type_size()));
        let begin = self.content.tensor_data_offset.checked_add(info.offset);
        let end = begin.zip(bytes).and_then(|(begin, bytes)| begin.checked_add(bytes as u64));
        if end.is_none_or(|end| end > self.length) {
            let why = format!(
                "`{name}`: expected its {dims:?} elements of {kind:?} within the {} bytes of the file",
                self.length
            );
            return Err(Error::file(&self.path, why));
        }
        let mut read = || {
            let tensor =
                self.content.tensor(&mut self.reader, name, &Device::Cpu)?.dequantize(&Device::Cpu)?;
            Ok((tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1::<f32>()?))
        };
        let read = read().map_err(|error: candle_core::Error| self.damaged(name, error))?;
        done();
        Ok(read)
    }

    fn matrix(&mut self, name: &str, done: &mut impl FnMut()) -> Result<Matrix> {
        let (shape, data) = self.tensor(name, done)?;
        match shape[..] {
            [rows, columns] => Matrix::new(rows, columns, data),
            _ => Err(Error::model(name, "two axes", format!("{shape:?}"))),
        }
    }

    fn vector(&mut self, name: &str, done: &mut impl FnMut()) -> Result<Vec<f32>> {
        Ok(self.tensor(name, done)?.1)
    }
}

/// Rows of each head from the order of interleaved rotations (0, half, 1, half + 1, …) into that of rotated halves.
fn halves(matrix: Matrix, head_dim: usize) -> Matrix {
    let mut data = Vec::with_capacity(matrix.data.len());
    for head in 0..matrix.rows / head_dim {
        for i in 0..head_dim {
            let (pair, half) = (i % (head_dim / 2), i / (head_dim / 2));
            data.extend_from_slice(matrix.row(head * head_dim + 2 * pair + half));
        }
    }
    Matrix { data, ..matrix }
}
