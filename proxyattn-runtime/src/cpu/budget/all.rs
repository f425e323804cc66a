//! Every block.

use super::Contract;
use proxyattn_codegen::All;

impl Contract for All {}
