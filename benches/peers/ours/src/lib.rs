//! proxyattn behind a C ABI: Python calls it on torch's memory and stream, in the same process as its peers.
//!
//! Functions return 0, or 1 with the reason in [`peers_error`].

use core::ffi::{CStr, c_char};
use core::fmt::Display;
use proxyattn::prelude::bf16;
use proxyattn::{Attention, Device, Problem, RawArgs, RawTensor, Result, Scratch, Stage, proxy_attention};
use std::cell::RefCell;
use std::ffi::CString;

#[proxy_attention(budget = all)]
struct Dense128;
#[proxy_attention(budget = all, head_dim = 64)]
struct Dense64;
#[proxy_attention(budget = dynamic(gamma = 0.9, min_tokens = 512))]
struct Attend128Block64;
#[proxy_attention(budget = dynamic(gamma = 0.9, min_tokens = 512), block = 128)]
struct Attend128Block128;
#[proxy_attention(budget = dynamic(gamma = 0.9, min_tokens = 512), head_dim = 64)]
struct Attend64Block64;
#[proxy_attention(budget = dynamic(gamma = 0.9, min_tokens = 512), head_dim = 64, block = 128)]
struct Attend64Block128;
#[proxy_attention(budget = ratio(0.05), groups = 1, stride = 4)]
struct OneProxy5;
#[proxy_attention(budget = ratio(0.10), groups = 1, stride = 4)]
struct OneProxy10;
#[proxy_attention(budget = ratio(0.12), groups = 1, stride = 4)]
struct OneProxy12;
#[proxy_attention(budget = ratio(0.05), stride = 4)]
struct AllProxies5;
#[proxy_attention(budget = ratio(0.10), stride = 4)]
struct AllProxies10;
#[proxy_attention(budget = dynamic(gamma = 0.95, min_tokens = 2048), groups = 1, stride = 4)]
struct OneProxyPaperBudget;
#[proxy_attention(budget = ratio(0.05))]
struct Default5;
#[proxy_attention(budget = ratio(0.10))]
struct Default10;
// Of random inputs, whose mass is even, the measured count is the share itself.
#[proxy_attention(budget = dynamic(gamma = 0.05))]
struct Measured5;
#[proxy_attention(budget = dynamic(gamma = 0.072))]
struct Measured7;
#[proxy_attention(budget = dynamic(gamma = 0.1))]
struct Measured10;
#[proxy_attention(scorer = proxy(scores = native), budget = dynamic(gamma = 0.05))]
struct MeasuredNative5;
#[proxy_attention(scorer = proxy(scores = native), budget = dynamic(gamma = 0.072))]
struct MeasuredNative7;
#[proxy_attention(
    scorer = proxy(sums = exact, scores = native),
    budget = dynamic(gamma = 0.1, order = own, weigh = none)
)]
struct MeasuredExact10;
#[proxy_attention(scorer = mean_pool, budget = ratio(0.10))]
struct MeanPool10;
#[proxy_attention(budget = top_p(0.1))]
struct TopP10;
#[proxy_attention(budget = dynamic(gamma = 0.9), groups = 1, stride = 4)]
struct BudgetOneProxy;
#[proxy_attention(budget = dynamic(gamma = 0.9), stride = 4)]
struct BudgetAllProxies;
#[proxy_attention(budget = dynamic(gamma = 0.9), groups = 1)]
struct BudgetOneProxyAllKeys;
#[proxy_attention(budget = dynamic(gamma = 0.9))]
struct BudgetDefault;

/// Opens a configuration by its name.
fn open(name: &str) -> Result<Option<Attention<bf16>>> {
    let device = Device::cuda(0)?;
    macro_rules! table {
        ($($kernel:ident),+) => {
            match name {
                $(stringify!($kernel) => Some($kernel::load(&device)?.with_dense_below(0)),)+
                _ => None,
            }
        };
    }
    Ok(table!(
        Dense128,
        Dense64,
        Attend128Block64,
        Attend128Block128,
        Attend64Block64,
        Attend64Block128,
        OneProxy5,
        OneProxy10,
        OneProxy12,
        AllProxies5,
        AllProxies10,
        OneProxyPaperBudget,
        Measured5,
        Measured7,
        Measured10,
        MeasuredNative5,
        MeasuredNative7,
        MeasuredExact10,
        Default5,
        Default10,
        MeanPool10,
        TopP10,
        BudgetOneProxy,
        BudgetAllProxies,
        BudgetOneProxyAllKeys,
        BudgetDefault
    ))
}

/// A kernel that Python holds.
pub struct Handle(Attention<bf16>);

/// A call: batch, heads, KV heads, query and key tokens, then for q, k, v and out the address and the strides of batch, heads
/// and tokens in elements, then the workspace's address and bytes, the stream, and a bit for each stage.
#[repr(C)]
pub struct Call {
    sizes: [u64; 5],
    tensors: [[i64; 4]; 4],
    workspace: u64,
    workspace_bytes: u64,
    stream: usize,
    stages: u64,
}

impl Call {
    fn problem(&self) -> Problem {
        let [batch, heads, kv_heads, q_len, kv_len] = self.sizes.map(|size| size as usize);
        Problem { batch, heads, kv_heads, q_len, kv_len }
    }
}

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
}

fn answer(result: core::result::Result<(), impl Display>) -> i32 {
    let Err(error) = result else { return 0 };
    ERROR.set(CString::new(error.to_string().replace('\0', " ")).unwrap_or_default());
    1
}

/// Why the last call of this thread failed.
#[unsafe(no_mangle)]
pub extern "C" fn peers_error() -> *const c_char {
    ERROR.with_borrow(|error| error.as_ptr())
}

/// Loads a configuration; null if that fails.
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peers_open(name: *const c_char) -> *mut Handle {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    match open(&name) {
        Ok(Some(loaded)) => Box::into_raw(Box::new(Handle(loaded))),
        Ok(None) => {
            answer(Err(format!("no configuration is called {name}")));
            core::ptr::null_mut()
        }
        Err(error) => {
            answer(Err(error));
            core::ptr::null_mut()
        }
    }
}

/// Bytes of workspace of a call, or `u64::MAX`.
///
/// # Safety
/// Both pointers are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peers_workspace(handle: *const Handle, call: *const Call) -> u64 {
    // SAFETY: the caller's promise.
    let (handle, call) = unsafe { (&*handle, &*call) };
    match handle.0.plan(&call.problem()) {
        Ok(plan) => handle.0.workspace_bytes(&plan),
        Err(error) => {
            answer(Err(error));
            u64::MAX
        }
    }
}

/// Where a buffer begins in the workspace, or `u64::MAX` if there is none of that name.
///
/// # Safety
/// All pointers are valid, and `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peers_buffer(handle: *const Handle, call: *const Call, name: *const c_char) -> u64 {
    // SAFETY: the caller's promise.
    let (handle, call, name) = unsafe { (&*handle, &*call, CStr::from_ptr(name)) };
    let plan = handle.0.plan(&call.problem());
    let Some((plan, buffer)) = plan.ok().zip(Scratch::named(&name.to_string_lossy())) else {
        return u64::MAX;
    };
    let layout = handle.0.workspace_layout(&plan);
    layout.into_iter().find(|(known, _)| *known == buffer).map_or(u64::MAX, |(_, range)| range.start)
}

/// Puts the stages of a call into its stream.
///
/// # Safety
/// Both pointers are valid, and what the call says is what [`Attention::launch_stages_raw`] asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peers_launch(handle: *const Handle, call: *const Call) -> i32 {
    // SAFETY: the caller's promise.
    let (handle, call) = unsafe { (&*handle, &*call) };
    let [q, k, v, out] = call.tensors.map(|[address, batch, head, token]| RawTensor {
        address: address as u64,
        strides: [batch, head, token],
    });
    let (workspace, workspace_bytes) = (call.workspace, call.workspace_bytes);
    let args = RawArgs { q, k, v, out, workspace, workspace_bytes };
    let stages: Vec<Stage> = Stage::ALL
        .iter()
        .copied()
        .enumerate()
        .filter(|(i, _)| call.stages >> i & 1 == 1)
        .map(|(_, s)| s)
        .collect();
    answer(handle.0.plan(&call.problem()).and_then(|plan| {
        // SAFETY: the caller's promise.
        unsafe { handle.0.launch_stages_raw(&plan, &args, call.stream as *mut _, &stages) }
    }))
}
