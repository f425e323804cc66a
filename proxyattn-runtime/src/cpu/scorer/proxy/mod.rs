//! The scorer `proxy`: mean queries and keys of the groups, and one pass of the ones over the others.

mod e4m3;
mod pool;
mod score;
mod sums;

use super::{Contract, Prepared};
use crate::cpu::inputs::Scale;
use crate::cpu::pack::Keys;
use crate::inputs::Inputs;
use crate::{Element, Plan, Result};
use pool::Proxies;
use proxyattn_codegen::Proxy;

impl Contract for Proxy {
    fn prepare<'a, T: Element>(
        &self,
        plan: &Plan,
        inputs: &Inputs<'_, T>,
        keys: &'a Keys,
        scale: Scale,
    ) -> Result<Box<dyn Prepared + 'a>> {
        Ok(Box::new(Proxies::pool(plan, self, inputs, keys, scale)?))
    }
}
