use proxyattn::prelude::*;

fn main() {
    Tensor::<f32>::zeros([1, 8, 100, 64]).unwrap();
}
