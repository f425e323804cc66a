//! Records that come with the crate: measured by the tuner on the authors' machines, reviewed, and copied here line by
//! line from the file that it wrote. They are held to the same rules as others, but for the driver and NVRTC.

use super::{Found, store};

const FILES: &[(&str, &str)] = &[("shipped/h100.jsonl", include_str!("shipped/h100.jsonl"))];

/// Every shipped record.
pub(crate) fn shipped() -> Found {
    let mut all = Found::default();
    for (name, text) in FILES {
        store::read_lines(name, text, &mut all);
    }
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_shipped_line_is_whole() {
        assert_eq!(super::shipped().refused, Vec::<String>::new());
    }
}
