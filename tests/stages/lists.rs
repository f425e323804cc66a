//! Attention over lists from outside, by the launches that the CUDA backend makes: other strides of lists, other groups, and
//! a launch for each query head of a KV head where those have lists of their own.

use crate::buffers::Tensors;
use crate::generated::inputs_of;
use crate::harness::Harness;
use proxyattn::codegen::cuda::{KernelId, Scalar, Scratch, Shape, Tensor, Tiles, UnitId, emit_tiled};
use proxyattn::codegen::{Arch, Block, Budget, Spec};
use proxyattn::prelude::bf16;
use proxyattn::{Attention, Device, ListView, Packed, Problem};

/// Numbers of lists for a shape: about half of the blocks that a row sees, the last first, in `list_heads` different ways.
fn numbers(spec: &Spec, problem: &Problem, list_heads: usize) -> (Vec<i32>, [usize; 4]) {
    let (rows, blocks) =
        (problem.q_len.div_ceil(spec.block.q as usize), problem.kv_len.div_ceil(spec.block.kv as usize));
    let mut ids = vec![-1; problem.batch * list_heads * rows * blocks];
    for (list, ids) in ids.chunks_exact_mut(blocks).enumerate() {
        let (row, way) = (list % rows, list / rows);
        let first = row * spec.block.q as usize;
        let (own, seen) = match spec.causal {
            true => {
                let (before, end) =
                    (problem.kv_len - problem.q_len, (first + spec.block.q as usize).min(problem.q_len));
                ((before + first) / spec.block.kv as usize, before + end)
            }
            false => (blocks - 1, problem.kv_len),
        };
        let wanted = (0..seen.div_ceil(spec.block.kv as usize)).rev();
        let wanted = wanted.filter(|&block| block >= own || (block * 7 + way * 5 + row) % 3 != 0);
        ids.iter_mut().zip(wanted).for_each(|(id, block)| *id = block as i32);
    }
    (ids, [problem.batch, list_heads, rows, blocks])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn check(name: &str, arch: Arch, spec: Spec, [batch, heads, kv_heads, q_len, kv_len]: [usize; 5]) {
    let problem = Problem { batch, heads, kv_heads, q_len, kv_len };
    let shape = |heads: usize| Shape {
        batch: batch as u64,
        heads: heads as u64,
        kv_heads: kv_heads as u64,
        q_len: q_len as u64,
        kv_len: kv_len as u64,
    };
    let mut module = emit_tiled(&spec, arch, &Tiles::portable(&spec, Some((heads / kv_heads) as u32)));
    module.units.retain(|unit| unit.id == UnitId::Attend);
    let harness = Harness::compile(name, &spec, module);
    let attention = Attention::<bf16>::load(&spec, &Device::cpu()).expect("a valid configuration");
    for (seed, list_heads) in [1, kv_heads, heads].into_iter().enumerate() {
        let (ids, size) = numbers(&spec, &problem, list_heads);
        let view = ListView::heads_first(&ids, size).expect("as many as the shape says");
        let lists = attention.lists(&problem, &view).expect("good lists");
        let selection = lists.selection().expect("lists on the CPU");
        let packed = Packed::new(selection, kv_heads, &spec).expect("room");
        assert_eq!(packed.parts, if list_heads > kv_heads { heads / kv_heads } else { 1 });

        let mut memory = inputs_of(&spec, &shape(heads), seed as u64 + 1);
        let part = |words: &[u32], i: usize| {
            words.chunks_exact(words.len() / packed.parts).nth(i).expect("a part").to_vec()
        };
        let head_bytes = memory.strides[&Tensor::Q][1] as usize * 2;
        let mut out = memory.bytes[&Tensor::Out.into()].clone();
        for i in 0..packed.parts {
            let mut launch = inputs_of(&spec, &shape(heads), seed as u64 + 1);
            for tensor in [Tensor::Q, Tensor::Out] {
                let bytes = if tensor == Tensor::Out { &out } else { &memory.bytes[&tensor.into()] };
                launch.put(tensor, bytes[i * head_bytes..].to_vec());
                let [batch, head, token] = memory.strides[&tensor];
                launch.strides.insert(tensor, [batch, head * packed.parts as i64, token]);
            }
            launch.put(Scratch::Lists, words(&part(&packed.lists, i)));
            launch.put(Scratch::Counts, words(&part(&packed.counts, i)));
            launch.put(Scratch::Runs, words(&part(&packed.runs, i)));
            launch.put(Scratch::AttendTickets, vec![0; 4]);
            launch.numbers.insert(Scalar::Blocks, packed.width as i64);
            launch.numbers.insert(Scalar::Groups, packed.groups as i64);
            launch.numbers.insert(Scalar::KvHeadsPerGroup, (kv_heads / packed.groups) as i64);
            harness.run_one(KernelId::Attend, &shape(heads / packed.parts), &mut launch, seed as u64 + 1);
            out[i * head_bytes..].copy_from_slice(&launch.bytes[&Tensor::Out.into()]);
        }
        memory.put(Tensor::Out, out);
        let tensors = Tensors { spec, shape: shape(heads), memory: &memory };
        let oracle = tensors.oracle::<bf16>();
        tensors.attended_as::<bf16>(&oracle, selection);
    }
}

macro_rules! followed {
    ($($test:ident: $arch:expr, $spec:expr, $shape:expr;)+) => {$(
        #[test]
        fn $test() {
            check(concat!("lists_", stringify!($test)), $arch, $spec, $shape);
        }
    )+};
}

const D64: Spec = Spec { head_dim: 64, ..Spec::DEFAULT };

followed! {
    dynamic_portable: Arch::Sm80, D64, [1, 4, 2, 200, 403];
    dynamic_hopper: Arch::Sm90a, D64, [1, 8, 2, 200, 403];
    flat_portable: Arch::Sm80, Spec { budget: Budget::ratio(0.1), groups: Some(1), ..D64 }, [2, 6, 2, 130, 300];
    flat_hopper: Arch::Sm90a, Spec { budget: Budget::top_k(2), ..D64 }, [2, 6, 2, 130, 300];
    not_causal_portable: Arch::Sm80, Spec { causal: false, block: Block { q: 32, kv: 64 }, ..D64 }, [1, 4, 2, 100, 90];
    not_causal_hopper: Arch::Sm90a, Spec { causal: false, budget: Budget::top_k(2), ..D64 }, [1, 4, 1, 150, 290];
    tall_blocks_hopper: Arch::Sm90a, Spec { block: Block { q: 128, kv: 64 }, ..D64 }, [1, 4, 2, 200, 333];
}
