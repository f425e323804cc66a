//! Sizes that follow from the shape: evaluated for a launch, printed for a reader, from one value.

use super::Size;
use crate::Spec;
use crate::geometry::Shape;
use core::fmt;
use core::ops::{Add, Div, Mul};

/// A grid's extent, or bytes of shared memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A number.
    Size(Size),
    /// Multiprocessors of the GPU.
    Multiprocessors,
    /// A sum.
    Sum(Box<[Expr; 2]>),
    /// A product.
    Product(Vec<Expr>),
    /// A quotient, rounded down.
    Quotient(Box<[Expr; 2]>),
    /// A quotient, rounded up.
    CeilDiv(Box<[Expr; 2]>),
    /// The smaller of two.
    Min(Box<[Expr; 2]>),
    /// What other expressions call by a name.
    Named(&'static str, Box<Expr>),
}

impl Expr {
    /// Its value for a shape, on a GPU with that many multiprocessors.
    pub fn eval(&self, spec: &Spec, shape: &Shape, multiprocessors: u64) -> u64 {
        let of = |expr: &Expr| expr.eval(spec, shape, multiprocessors);
        match self {
            Expr::Size(size) => size.of(spec, shape),
            Expr::Multiprocessors => multiprocessors,
            Expr::Sum(terms) => terms.iter().map(of).sum(),
            Expr::Product(factors) => factors.iter().map(of).product(),
            Expr::Quotient(parts) => of(&parts[0]) / of(&parts[1]),
            Expr::CeilDiv(parts) => of(&parts[0]).div_ceil(of(&parts[1])),
            Expr::Min(parts) => of(&parts[0]).min(of(&parts[1])),
            Expr::Named(_, expr) => of(expr),
        }
    }

    /// Whether its value depends on the shape.
    pub fn depends_on_shape(&self) -> bool {
        match self {
            Expr::Size(Size::Scalar(_)) => true,
            Expr::Size(Size::Number(_) | Size::Macro(..)) | Expr::Multiprocessors => false,
            Expr::Product(factors) => factors.iter().any(Expr::depends_on_shape),
            Expr::Sum(parts) | Expr::Quotient(parts) | Expr::CeilDiv(parts) | Expr::Min(parts) => {
                parts.iter().any(Expr::depends_on_shape)
            }
            Expr::Named(_, expr) => expr.depends_on_shape(),
        }
    }

    /// Divided by `divisor`, rounded up.
    pub(crate) fn ceil_div(self, divisor: impl Into<Expr>) -> Self {
        Expr::CeilDiv(Box::new([self, divisor.into()]))
    }

    /// No more than `limit`.
    pub(crate) fn min(self, limit: impl Into<Expr>) -> Self {
        Expr::Min(Box::new([self, limit.into()]))
    }

    /// What binds less than `binding` stands in parentheses: sums bind least, then products and quotients.
    fn write(&self, f: &mut fmt::Formatter<'_>, binding: u8) -> fmt::Result {
        let own = match self {
            Expr::Sum(_) => 0,
            Expr::Product(_) | Expr::Quotient(_) => 1,
            Expr::Size(_) | Expr::Multiprocessors | Expr::CeilDiv(_) | Expr::Min(_) | Expr::Named(..) => 2,
        };
        if own < binding {
            f.write_str("(")?;
        }
        match self {
            Expr::Size(size) => write!(f, "{size}")?,
            Expr::Multiprocessors => f.write_str("multiprocessors")?,
            Expr::Sum(terms) => {
                terms[0].write(f, 0)?;
                f.write_str(" + ")?;
                terms[1].write(f, 0)?;
            }
            Expr::Product(factors) => {
                for (i, factor) in factors.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { " · " })?;
                    factor.write(f, if i == 0 { 1 } else { 2 })?;
                }
            }
            Expr::Quotient(parts) => quotient(f, parts)?,
            Expr::CeilDiv(parts) => {
                f.write_str("ceil(")?;
                quotient(f, parts)?;
                f.write_str(")")?;
            }
            Expr::Min(parts) => {
                f.write_str("min(")?;
                parts[0].write(f, 0)?;
                f.write_str(", ")?;
                parts[1].write(f, 0)?;
                f.write_str(")")?;
            }
            Expr::Named(name, _) => f.write_str(name)?,
        }
        if own < binding {
            f.write_str(")")?;
        }
        Ok(())
    }
}

fn quotient(f: &mut fmt::Formatter<'_>, parts: &[Expr; 2]) -> fmt::Result {
    parts[0].write(f, 1)?;
    f.write_str(" / ")?;
    parts[1].write(f, 2)
}

/// As the opening comment of a text has it; what has a name, as its definition.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Expr::Named(name, expr) = self {
            write!(f, "{name} = ")?;
            return expr.write(f, 0);
        }
        self.write(f, 0)
    }
}

impl<S: Into<Size>> From<S> for Expr {
    fn from(size: S) -> Self {
        Expr::Size(size.into())
    }
}

impl<E: Into<Expr>> Add<E> for Expr {
    type Output = Expr;

    fn add(self, other: E) -> Expr {
        Expr::Sum(Box::new([self, other.into()]))
    }
}

impl<E: Into<Expr>> Mul<E> for Expr {
    type Output = Expr;

    fn mul(self, other: E) -> Expr {
        match self {
            Expr::Product(mut factors) => {
                factors.push(other.into());
                Expr::Product(factors)
            }
            first => Expr::Product(vec![first, other.into()]),
        }
    }
}

impl<E: Into<Expr>> Div<E> for Expr {
    type Output = Expr;

    fn div(self, divisor: E) -> Expr {
        Expr::Quotient(Box::new([self, divisor.into()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Scalar;

    fn of(scalar: Scalar) -> Expr {
        scalar.into()
    }

    #[test]
    fn an_expression_reads_as_it_is_evaluated() {
        let shape = Shape { batch: 2, heads: 12, kv_heads: 3, q_len: 200, kv_len: 1000 };
        let (rows, heads, batch) = (of(Scalar::Rows), of(Scalar::Heads), of(Scalar::Batch));
        let cases = [
            (
                rows.clone() * (heads.clone() / 5u32) * of(Scalar::KvHeads),
                "rows · (heads / 5) · kv_heads",
                24,
            ),
            (rows.clone() * heads.clone() / 5u32, "rows · heads / 5", 9),
            (rows.clone().ceil_div(heads.clone() * batch.clone()), "ceil(rows / (heads · batch))", 1),
            ((rows.clone() * heads.clone()).ceil_div(5u32), "ceil(rows · heads / 5)", 10),
            ((rows.clone() + 1u32) * heads.clone(), "(rows + 1) · heads", 60),
            (rows.clone() + heads.clone() * 2u32, "rows + heads · 2", 28),
            (Expr::Multiprocessors.min(rows.clone() * batch), "min(multiprocessors, rows · batch)", 7),
            (
                Expr::Multiprocessors / Expr::Named("packs", Box::new(rows.clone())),
                "multiprocessors / packs",
                1,
            ),
            (Expr::Named("packs", Box::new(rows)), "packs = rows", 4),
        ];
        for (expr, text, value) in cases {
            assert_eq!(expr.to_string(), text);
            assert_eq!(expr.eval(&Spec::DEFAULT, &shape, 7), value, "{text}");
        }
    }
}
