//! Whether each stage's buffers hold what the reference makes of what the stage before it left, whatever the scorer and the
//! budget are.

mod score;
mod select;

pub(crate) use score::Sampled;

use crate::format::{Format, e4m3};
use crate::{Grid, Heads, KernelLists};
use proxyattn_codegen::Spec;
use proxyattn_codegen::cuda::{Elem, Scratch, Shape, Tensor};

/// The buffers that the kernels of a run have left.
pub trait Memory {
    /// The bytes of a buffer, if the configuration has it.
    fn bytes(&self, scratch: Scratch) -> Option<&[u8]>;
}

/// The buffers of a run on a shape. What is wrong with them is a panic, as in a test.
pub struct Buffers<'a> {
    pub(crate) grid: &'a Grid,
    pub(crate) shape: Shape,
    memory: &'a dyn Memory,
}

impl<'a> Buffers<'a> {
    /// What `memory` holds after a run on the grid's shape.
    pub fn new(grid: &'a Grid, memory: &'a dyn Memory) -> Self {
        let [batch, heads, kv_heads, q_len, kv_len] =
            [grid.batch, grid.heads, grid.kv_heads, grid.q_len, grid.kv_len].map(|number| number as u64);
        Self { grid, shape: Shape { batch, heads, kv_heads, q_len, kv_len }, memory }
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.grid.spec
    }

    pub(crate) fn has(&self, scratch: Scratch) -> bool {
        self.memory.bytes(scratch).is_some()
    }

    fn bytes(&self, scratch: Scratch) -> &[u8] {
        self.memory.bytes(scratch).unwrap_or_else(|| panic!("there is no buffer `{scratch}`"))
    }

    /// The numbers of a buffer of words.
    pub(crate) fn words(&self, scratch: Scratch) -> Vec<u32> {
        assert_eq!(scratch.elem().bytes(self.spec().dtype), 4, "{scratch}");
        let (words, rest) = self.bytes(scratch).as_chunks::<4>();
        assert!(rest.is_empty(), "{scratch}");
        words.iter().map(|&word| u32::from_le_bytes(word)).collect()
    }

    /// The numbers of a buffer of f32.
    pub(crate) fn floats(&self, scratch: Scratch) -> Vec<f32> {
        self.words(scratch).into_iter().map(f32::from_bits).collect()
    }

    /// The numbers of a buffer of u16.
    pub(crate) fn halves(&self, scratch: Scratch) -> Vec<u16> {
        assert_eq!(scratch.elem().bytes(self.spec().dtype), 2, "{scratch}");
        self.bytes(scratch).as_chunks::<2>().0.iter().map(|&half| u16::from_le_bytes(half)).collect()
    }

    /// The numbers of any buffer.
    pub(crate) fn numbers(&self, scratch: Scratch) -> Vec<f64> {
        let format = Format::of(self.spec().dtype);
        match scratch.elem() {
            Elem::Dtype => self.halves(scratch).into_iter().map(|bits| format.number(bits)).collect(),
            Elem::E4m3 => self.bytes(scratch).iter().map(|&bits| e4m3(bits)).collect(),
            Elem::U16 => self.halves(scratch).into_iter().map(f64::from).collect(),
            Elem::F32 => self.floats(scratch).into_iter().map(f64::from).collect(),
            Elem::U32 => self.words(scratch).into_iter().map(f64::from).collect(),
        }
    }

    /// A tensor that lies in a buffer, without gaps.
    pub(crate) fn heads(&self, tensor: Tensor) -> Heads {
        let scratch = tensor.scratch().expect("it lies in a buffer");
        let tokens = tensor.extents()[1].of(self.spec(), &self.shape) as usize;
        Heads::new(self.numbers(scratch), tokens, self.spec().head_dim as usize)
    }

    /// Heads of all sequences, as `(sequence, head)`.
    pub(crate) fn all_heads(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (batch, heads) = (self.grid.batch, self.grid.heads);
        (0..batch * heads).map(move |flat| (flat / heads, flat % heads))
    }

    /// Lists of this run.
    pub fn lists(&self) -> KernelLists<'a> {
        KernelLists::new(self.grid, self.words(Scratch::Lists), self.words(Scratch::Counts))
    }
}
