//! Lists from outside: what is visited is what they name, in every form that they may have.

use crate::inputs::{Case, Inputs};
use crate::kernels::{
    Both, CrossTop, Dense64, ListValues, OneGroup, Small, TopFour, TwoGroups, WideBlocks, WideRows,
};
use proxyattn::codegen::Spec;
use proxyattn::{Attention, AttentionKernel, Device, Element, Error, ListView, Problem, Selection, Tensor};
use proxyattn_oracle::{Lists, Oracle};

/// Block numbers `[batch, list heads, rows, most]`, and what they mean.
pub(crate) struct Numbers {
    pub(crate) ids: Vec<i32>,
    pub(crate) shape: [usize; 4],
    pub(crate) tokens: usize,
    /// Each head's blocks, `[batch, head, row]`.
    blocks: Vec<Vec<u32>>,
    heads: usize,
}

impl Lists for Numbers {
    fn count(&self, batch: usize, head: usize, row: usize) -> usize {
        self.blocks(batch, head, row).len()
    }

    fn blocks(&self, batch: usize, head: usize, row: usize) -> &[u32] {
        &self.blocks[(batch * self.heads + head) * self.shape[2] + row]
    }
}

impl Numbers {
    /// Numbers of `tokens` tokens in any order, with gaps between them.
    pub(crate) fn random(
        spec: &Spec,
        problem: &Problem,
        list_heads: usize,
        tokens: usize,
        seed: u64,
    ) -> Self {
        let mut state = seed;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        let (block_q, block_kv) = (spec.block.q as usize, spec.block.kv as usize);
        let &Problem { batch, heads, q_len, kv_len, .. } = problem;
        let rows = q_len.div_ceil(block_q);
        let most = kv_len.div_ceil(tokens) + 3;
        let mut ids = Vec::new();
        let mut of_list = Vec::new();
        for list in 0..batch * list_heads * rows {
            let (first, end) = (list % rows * block_q, (list % rows * block_q + block_q).min(q_len));
            // Keys from the first query's own to the end of what the last one sees.
            let seen = if spec.causal { kv_len - q_len + end } else { kv_len };
            let own = if spec.causal { (kv_len - q_len + first) / tokens } else { seen.div_ceil(tokens) - 1 };
            let keep = 1 + random(4);
            let mut numbers: Vec<usize> =
                (0..seen.div_ceil(tokens)).filter(|&number| number >= own || random(5) < keep).collect();
            (1..numbers.len()).for_each(|i| numbers.swap(i, random(i + 1)));
            let per = tokens / block_kv;
            let blocks = numbers.iter().flat_map(|number| number * per..(number + 1) * per);
            of_list.push(blocks.filter(|block| block * block_kv < seen).map(|block| block as u32).collect());
            let mut padded: Vec<i32> = numbers.iter().map(|&number| number as i32).collect();
            while padded.len() < most {
                padded.insert(random(padded.len() + 1), -1);
            }
            ids.extend(padded);
        }
        let of_head = heads / list_heads;
        let blocks = (0..batch * heads * rows)
            .map(|i| Vec::clone(&of_list[i / rows / of_head * rows + i % rows]))
            .collect();
        Self { ids, shape: [batch, list_heads, rows, most], tokens, blocks, heads }
    }

    pub(crate) fn view(&self) -> ListView<'_> {
        ListView::heads_first(&self.ids, self.shape)
            .expect("as many as the shape says")
            .granularity(self.tokens)
    }

    /// The same in the other order of memory.
    fn rows_first(&self) -> (Vec<i32>, [usize; 4]) {
        let [batch, heads, rows, most] = self.shape;
        let list =
            |b: usize, row: usize, head: usize| &self.ids[((b * heads + head) * rows + row) * most..][..most];
        let of_row = |b, row| (0..heads).flat_map(move |head| list(b, row, head));
        let ids = (0..batch).flat_map(|b| (0..rows).flat_map(move |row| of_row(b, row))).copied().collect();
        (ids, [batch, rows, heads, most])
    }

    /// What each head visits, as numbers of its own, in the order of the visits.
    fn exported(selection: &Selection) -> Self {
        let (batch, heads, rows) = (selection.batch(), selection.heads(), selection.geometry().rows());
        let at = |i: usize| (i / rows / heads, i / rows % heads, i % rows);
        let blocks: Vec<Vec<u32>> =
            (0..batch * heads * rows).map(|i| selection.blocks(at(i).0, at(i).1, at(i).2).to_vec()).collect();
        let most = blocks.iter().map(Vec::len).max().expect("a list");
        let padded = |list: &Vec<u32>| {
            let mut padded: Vec<i32> = list.iter().map(|&block| block as i32).collect();
            padded.resize(most, -1);
            padded
        };
        let ids = blocks.iter().flat_map(padded).collect();
        let tokens = selection.geometry().keys(0).len();
        Self { ids, shape: [batch, heads, rows, most], tokens, blocks, heads }
    }
}

/// How close an output has to be to the reference.
type Judge<'a, T> = &'a dyn Fn(&[T], &[f64], usize) -> Result<(), String>;

fn load<K: AttentionKernel>(device: &Device) -> Attention<K::Elem> {
    K::load(device).expect("the suite's kernels are valid").with_dense_below(0)
}

fn host<T: Element>(tensor: Tensor<T>) -> Vec<T> {
    tensor.into_vec().expect("the output comes back")
}

fn random_of<K: AttentionKernel>(device: &Device, judge: Judge<'_, K::Elem>, cases: &[Case]) {
    let (attention, spec) = (load::<K>(device), K::SPEC);
    for case in cases {
        let inputs = Inputs::<K::Elem>::generate(case, spec.head_dim);
        let oracle = Oracle::new(&spec, &inputs.q(), &inputs.k(), &inputs.v());
        let ([q, k, v], problem) = (inputs.on(device), case.problem);
        for list_heads in [1, problem.kv_heads, problem.heads] {
            for times in [1, 2] {
                let tokens = spec.block.kv as usize * times;
                let numbers = Numbers::random(&spec, &problem, list_heads, tokens, case.seed + tokens as u64);
                let context = format!("{}: {list_heads} list heads of {tokens} tokens, {case:?}", K::NAME);
                let lists =
                    attention.lists(&problem, &numbers.view()).unwrap_or_else(|e| panic!("{e}: {context}"));
                let output =
                    attention.prefill_with(&q, &k, &v, &lists).unwrap_or_else(|e| panic!("{e}: {context}"));
                let output = host(output);
                judge(&output, &oracle.attend(&numbers), spec.head_dim as usize)
                    .unwrap_or_else(|fault| panic!("{fault}: {context}"));

                let (ids, shape) = numbers.rows_first();
                let view = ListView::rows_first(&ids, shape).expect("as many").granularity(tokens);
                let again = attention.lists(&problem, &view).expect("the same lists");
                let again = host(attention.prefill_with(&q, &k, &v, &again).expect("the same lists"));
                assert!(again == output, "the order of memory counts: {context}");
            }
        }
    }
}

/// Heads alone and in groups, batches, ragged lengths, chunks.
fn cases() -> [Case; 4] {
    [
        Case::new([4, 4], 65, 65),
        Case::new([6, 2], 260, 300).batch(2),
        Case::new([8, 2], 200, 333).seed(2),
        Case::new([3, 1], 1, 400).seed(3),
    ]
}

/// Lists of anything, for kernels of every kind of budget.
pub(crate) fn random_lists_are_followed<'a>(
    device: &Device,
    bf16: Judge<'a, half::bf16>,
    f16: Judge<'a, half::f16>,
) {
    random_of::<Small>(device, bf16, &cases());
    random_of::<TopFour>(device, bf16, &cases());
    random_of::<OneGroup>(device, bf16, &cases());
    random_of::<WideRows>(device, f16, &cases());
    random_of::<WideBlocks>(device, bf16, &cases());
    random_of::<Both>(device, f16, &cases());
    random_of::<CrossTop>(device, f16, &[Case::new([4, 2], 300, 130), Case::new([6, 2], 33, 200).batch(2)]);
}

/// What a call has selected, given back: the output is the same, to the bit.
fn given_back<K: AttentionKernel>(device: &Device, on_cpu: bool, cases: &[Case]) {
    let attention = load::<K>(device);
    for case in cases {
        let context = format!("{} {case:?}", K::NAME);
        let [q, k, v] = Inputs::<K::Elem>::generate(case, K::SPEC.head_dim).on(device);
        let trace = attention.prefill_traced(&q, &k, &v, &()).expect("good inputs");
        let first = host(trace.output);
        let lists =
            attention.lists_of(&case.problem, &trace.selection).unwrap_or_else(|e| panic!("{e}: {context}"));
        assert_eq!(lists.selection(), Some(&trace.selection), "{context}");
        let second = host(attention.prefill_with(&q, &k, &v, &lists).expect("lists of this kernel"));
        // A GPU has another kernel for what is dense, which adds up in another order.
        let same_kernel = on_cpu || trace.plan.why_dense().is_none();
        assert!(first == second || !same_kernel, "{context}");
        if on_cpu {
            let exported = Numbers::exported(&trace.selection);
            let view = ListView::heads_first(&exported.ids, exported.shape).expect("as many");
            let lists = attention.lists(&case.problem, &view).unwrap_or_else(|e| panic!("{e}: {context}"));
            let third = host(attention.prefill_with(&q, &k, &v, &lists).expect("lists for this kernel"));
            assert!(first == third, "a list for each head: {context}");
        }
    }
}

/// On Hopper a head's place among its fellows decides in which order it visits blocks, so lists of its own may change the
/// last bits: these are compared `on_cpu` alone.
pub(crate) fn selections_can_be_given_back(device: &Device, on_cpu: bool) {
    given_back::<Small>(device, on_cpu, &cases());
    given_back::<TopFour>(device, on_cpu, &cases());
    given_back::<OneGroup>(device, on_cpu, &cases());
    given_back::<WideRows>(device, on_cpu, &cases());
    given_back::<WideBlocks>(device, on_cpu, &cases());
    given_back::<ListValues>(device, on_cpu, &cases());
    given_back::<Both>(device, on_cpu, &cases());
    given_back::<TwoGroups>(device, on_cpu, &[Case::new([8, 4], 260, 300).batch(2)]);
}

/// A kernel whose heads visit the same blocks follows lists whose heads do not: those of a dynamic budget.
pub(crate) fn nested_lists_on_a_flat_kernel(device: &Device, judge: Judge<'_, half::bf16>) {
    let (dynamic, flat) = (load::<Small>(device), load::<TopFour>(device));
    for case in cases() {
        let inputs = Inputs::<half::bf16>::generate(&case, 64);
        let [q, k, v] = inputs.on(device);
        let selection = dynamic.prefill_traced(&q, &k, &v, &()).expect("good inputs").selection;
        let lists = flat.lists_of(&case.problem, &selection).expect("the same blocks");
        let output = host(flat.prefill_with(&q, &k, &v, &lists).expect("lists of this kernel"));
        let oracle = Oracle::new(&TopFour::SPEC, &inputs.q(), &inputs.k(), &inputs.v());
        judge(&output, &oracle.attend(&selection), 64).unwrap_or_else(|fault| panic!("{fault}: {case:?}"));
    }
}

/// Each mistake by its name, and nothing is run.
pub(crate) fn bad_lists_are_refused(device: &Device) {
    let (attention, problem) = (load::<Small>(device), Case::new([2, 1], 64, 96).problem);
    // Two rows of 32 queries at the blocks 1 and 2 of three.
    let message = |ids: &[i32], shape: [usize; 4], tokens: usize| {
        let view = ListView::heads_first(ids, shape).expect("as many as the shape says").granularity(tokens);
        attention.lists(&problem, &view).map(drop).expect_err("a bad list").to_string()
    };
    attention
        .lists(&problem, &ListView::heads_first(&[1, 0, 2, -1], [1, 1, 2, 2]).expect("four"))
        .expect("a good list");
    let of = |ids: &[i32; 4]| message(ids, [1, 1, 2, 2], 32);
    assert_eq!(
        of(&[1, 0, 2, 3]),
        "`lists`: expected blocks of 0 to 2, the last that the row sees, or -1 for none, got 3 at [batch 0, list head 0, row 1]"
    );
    assert!(
        of(&[1, 2, 2, -1]).contains("blocks of 0 to 1, the last that the row sees, or -1 for none, got 2 at")
    );
    assert!(of(&[1, -2, 2, -1]).contains("got -2 at [batch 0, list head 0, row 0]"));
    assert!(of(&[1, i32::MIN, 2, -1]).contains("got -2147483648 at"));
    assert!(of(&[1, i32::MAX, 2, -1]).contains("got 2147483647 at"));
    assert_eq!(
        of(&[1, 0, 2, 2]),
        "`lists`: expected each block once, got 2 twice at [batch 0, list head 0, row 1]"
    );
    assert_eq!(
        of(&[0, -1, 2, 0]),
        "`lists`: expected block 1, which holds keys at the positions of the row's own queries, got a list without it at \
         [batch 0, list head 0, row 0]"
    );
    assert!(of(&[1, 0, -1, -1]).contains("expected block 2, which holds keys"));
    assert!(message(&[1, 0, 2, -1], [2, 1, 1, 2], 32).starts_with(
        "`lists`: expected 1 sequences, 1, 1 (KV heads) or 2 (query heads) list heads, and 2 rows of 32"
    ));
    assert_eq!(
        message(&[1, 0, 2, -1], [1, 1, 2, 2], 48),
        "`granularity`: expected a multiple of the 32 tokens of the kernel's blocks (`block.kv`), got 48"
    );
    // Without the causal rule a row needs any block at all.
    let both = load::<Both>(device);
    let none = both.lists(&problem, &ListView::heads_first(&[0, -1], [1, 1, 2, 1]).expect("two"));
    assert_eq!(
        none.expect_err("an empty list").to_string(),
        "`lists`: expected at least one block, got none at [batch 0, list head 0, row 1]"
    );
    let short = ListView::heads_first(&[0; 3], [1, 1, 2, 2]).expect_err("three");
    assert_eq!(short.to_string(), "`ids`: expected 4 numbers for shape [1, 1, 2, 2], got 3");

    // A kernel without a kernel for lists, and lists for another shape.
    let view = ListView::heads_first(&[1, 0, 2, -1], [1, 1, 2, 2]).expect("four");
    let dense = load::<Dense64>(device).lists(&problem, &view).expect_err("nothing follows them");
    assert!(matches!(dense, Error::Unavailable { .. }), "{dense}");
    let lists = attention.lists(&problem, &view).expect("a good list");
    let [q, k, v] = Inputs::<half::bf16>::generate(&Case::new([2, 1], 64, 97), 64).on(device);
    let other = attention.prefill_with(&q, &k, &v, &lists).map(drop).expect_err("another shape");
    assert_eq!(
        other.to_string(),
        "`lists`: expected lists for batch 1, heads 2, kv_heads 1, q_len 64, kv_len 97 in blocks of 32 queries and 32 keys, \
         causal, got lists for batch 1, heads 2, kv_heads 1, q_len 64, kv_len 96 in blocks of 32 queries and 32 keys, causal"
    );
}
