//! Words in which a launch table is written.

use super::{Access, Axis, Expr, Field, Operand, Param, Scalar, Tensor};

/// An address that a kernel reads.
pub(crate) fn read(operand: impl Into<Operand>) -> Field {
    Field::Pointer(operand.into(), Access::Read)
}

/// An address that a kernel writes.
pub(crate) fn write(operand: impl Into<Operand>) -> Field {
    Field::Pointer(operand.into(), Access::Write)
}

/// A word that a kernel sets to zero for a later one.
pub(crate) fn clear(operand: impl Into<Operand>) -> Field {
    Field::Pointer(operand.into(), Access::Clear)
}

/// A word that a kernel counts up.
pub(crate) fn count(operand: impl Into<Operand>) -> Field {
    Field::Pointer(operand.into(), Access::Count)
}

/// The strides of a tensor.
pub(crate) fn strides(tensor: Tensor) -> impl Iterator<Item = Field> {
    Axis::ALL.into_iter().map(move |axis| Field::Stride(tensor, axis))
}

/// Numbers that follow from the shape.
pub(crate) fn numbers<const N: usize>(scalars: [Scalar; N]) -> impl Iterator<Item = Field> {
    scalars.into_iter().map(Field::Scalar)
}

/// A number as it stands.
pub(crate) fn number(number: u32) -> Expr {
    number.into()
}

/// Fields at their places: the larger kinds first, each kind in the order in which it is given.
pub(crate) fn lay_out(mut fields: Vec<Field>) -> Vec<Param> {
    fields.sort_by_key(|field| field.rank());
    let place = |end: &mut u32, field: Field| {
        let offset = *end;
        *end += field.bytes();
        Some(Param { field, offset })
    };
    fields.into_iter().scan(0, place).collect()
}
