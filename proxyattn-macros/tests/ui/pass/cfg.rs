//! A struct that is configured away takes everything generated with it.
#![deny(warnings)]

use proxyattn::prelude::*;

#[proxy_attention]
#[cfg(any())]
pub struct Absent;

#[proxy_attention]
#[cfg(all())]
pub struct Present;

fn main() {
    assert!(Present::load(&Device::cpu()).is_ok());
}
