//! Allocates host memory whose size depends on the problem. Failure is an error, not an abort.
//!
//! Small allocations of constant size, a few kilobytes per thread, are made as usual.

use crate::{Element, Error, Result};
use core::alloc::Layout;

/// The product of sizes. On overflow it is `usize::MAX`, which no allocation can satisfy.
pub(crate) fn product(sizes: &[usize]) -> usize {
    sizes.iter().copied().fold(1, usize::saturating_mul)
}

/// An empty vector with capacity for `len` elements of `what`.
pub(crate) fn room<T>(what: &'static str, len: usize) -> Result<Vec<T>> {
    let mut data = Vec::new();
    reserve(what, &mut data, len)?;
    Ok(data)
}

/// Reserves capacity for `len` more elements of `what`.
pub(crate) fn reserve<T>(what: &'static str, data: &mut Vec<T>, len: usize) -> Result<()> {
    data.try_reserve_exact(len).map_err(|_| refused::<T>(what, len))
}

/// `len` copies of `value`.
pub(crate) fn filled<T: Clone>(what: &'static str, len: usize, value: T) -> Result<Vec<T>> {
    let mut data = room(what, len)?;
    data.resize(len, value);
    Ok(data)
}

/// A copy.
pub(crate) fn copied<T: Copy>(what: &'static str, from: &[T]) -> Result<Vec<T>> {
    let mut data = room(what, from.len())?;
    data.extend_from_slice(from);
    Ok(data)
}

/// `len` zeros. The pages come zeroed from the system and are not written here, so that the threads that fill them touch them
/// first.
pub(crate) fn zeros<T: Element>(what: &'static str, len: usize) -> Result<Vec<T>> {
    let layout = Layout::array::<T>(len).map_err(|_| refused::<T>(what, len))?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout has a size.
    let data = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<T>();
    if data.is_null() {
        return Err(refused::<T>(what, len));
    }
    // SAFETY: the memory was just allocated by the global allocator for an array of `len` elements, whose type is one of
    // two 16-bit floats: zero bits are the number 0 in both.
    Ok(unsafe { Vec::from_raw_parts(data, len, len) })
}

fn refused<T>(what: &'static str, len: usize) -> Error {
    Error::Memory { what, of: "host", bytes: (len as u64).saturating_mul(size_of::<T>() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn what_cannot_be_had_is_an_error() {
        // More than any address space has, more than any slice may have, more than can be counted.
        for len in [1 << 50, isize::MAX as usize, usize::MAX] {
            let errors = [
                room::<u16>("a", len).err(),
                filled("a", len, 7u16).err(),
                zeros::<bf16>("a", len).err(),
                zeros::<f16>("a", len).err(),
            ];
            for error in errors {
                let Some(Error::Memory { what: "a", of: "host", bytes }) = error else {
                    panic!("{len} elements: {error:?}");
                };
                assert_eq!(bytes, (len as u64).saturating_mul(2));
            }
        }
        assert_eq!(product(&[1 << 40, 1 << 40]), usize::MAX);
    }

    #[test]
    fn what_can_be_had_is_there() {
        assert_eq!(zeros::<f16>("a", 3).unwrap(), [f16::ZERO; 3]);
        assert!(zeros::<bf16>("a", 0).unwrap().is_empty());
        assert_eq!(filled("a", 2, 5).unwrap(), [5, 5]);
        assert_eq!(copied("a", &[1, 2]).unwrap(), [1, 2]);
        assert!(room::<u64>("a", product(&[3, 4])).unwrap().capacity() >= 12);
    }
}
