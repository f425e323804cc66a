//! The same count everywhere.

use super::Contract;
use proxyattn_codegen::TopK;

impl Contract for TopK {}
