//! Enums whose values have names in texts.

/// An enum with the name of each value, and all of them in their order.
macro_rules! named {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $value,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$value),+];

            /// Its name in texts.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$value => $text,)+
                }
            }

            /// The value of a name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl crate::syntax::Word for $name {
            fn type_name(&self) -> &'static str {
                stringify!($name)
            }

            fn variant(&self) -> &'static str {
                match self {
                    $($name::$value => stringify!($value),)+
                }
            }

            fn name(&self) -> &'static str {
                (*self).name()
            }

            fn names(&self) -> &'static [&'static str] {
                &[$($text),+]
            }

            fn take(&mut self, name: &str) -> bool {
                Self::named(name).map(|value| *self = value).is_some()
            }
        }

        impl crate::syntax::Value for $name {
            fn slot(&mut self) -> crate::syntax::Slot<'_> {
                crate::syntax::Slot::Word(self)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
