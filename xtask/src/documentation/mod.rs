//! What must be true of the documentation: links lead somewhere, and the reference of the attribute has every choice.

mod links;
mod page;
mod reference;
