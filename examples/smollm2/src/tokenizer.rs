//! Text to tokens and back: byte-level BPE that splits off single digits.

use crate::{Error, Result};
use std::collections::HashMap;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence};
use tokenizers::{AddedToken, PreTokenizerWrapper};

/// A tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    end: u32,
}

/// GGUF's word for tokens such as `<|im_end|>`, which are matched before anything is split.
const CONTROL: i32 = 3;

impl Tokenizer {
    /// From a vocabulary, the kind of each token as GGUF numbers it, merges (`left right`, first to last) and the token
    /// that ends an answer.
    ///
    /// # Errors
    /// [`Error::Model`] for parts that do not fit together.
    pub fn new(tokens: Vec<String>, kinds: &[i32], merges: &[String], end: u32) -> Result<Self> {
        if kinds.len() != tokens.len() {
            return Err(Error::model("token_type", tokens.len().to_string(), kinds.len().to_string()));
        }
        let refused =
            |error: tokenizers::Error| Error::model("tokenizer", "a byte-level BPE", error.to_string());
        let pair = |merge: &String| {
            let (left, right) = merge.split_once(' ')?;
            Some((left.to_owned(), right.to_owned()))
        };
        let merges = merges.iter().map(|merge| {
            pair(merge).ok_or_else(|| Error::model("merges", "`left right`", format!("`{merge}`")))
        });
        let merges = merges.collect::<Result<Vec<_>>>()?;
        let control = tokens.iter().zip(kinds).filter(|&(_, &kind)| kind == CONTROL);
        let control: Vec<_> = control.map(|(token, _)| AddedToken::from(token.clone(), true)).collect();
        let ids: HashMap<_, _> = tokens.into_iter().zip(0u32..).collect();
        let bpe =
            BPE::builder().vocab_and_merges(ids.into_iter().collect::<HashMap<_, _, _>>(), merges).build();
        let mut inner = tokenizers::Tokenizer::new(bpe.map_err(refused)?);
        let bytes = ByteLevel::new(false, true, true);
        inner.with_pre_tokenizer(Some(Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(bytes),
        ])));
        inner.with_decoder(Some(bytes));
        let added = inner.add_special_tokens(control);
        added.map_err(refused)?;
        Ok(Self { inner, end })
    }

    /// The tokens of a text; control tokens in it are read as such.
    ///
    /// # Errors
    /// [`Error::Argument`] for text that cannot be encoded.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode(text, false);
        let encoding = encoding
            .map_err(|error| Error::argument("text", "text that the tokenizer reads", error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens, without control tokens.
    ///
    /// # Errors
    /// [`Error::Argument`] for a token outside the vocabulary.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        let text = self.inner.decode(tokens, true);
        text.map_err(|error| Error::argument("tokens", "tokens of the vocabulary", error.to_string()))
    }

    /// The token that ends an answer.
    pub fn end(&self) -> u32 {
        self.end
    }
}
