//! Templates to text: sections are kept or dropped, kernels get their signatures.
//!
//! A directive has a line of its own: `//@if NAME`, `//@else`, `//@end`, and `//@kernel NAME`, which stands for the
//! parameter struct and the signature. Everything else is copied.

/// Copies `text` without the sections that `holds` denies; `signature` is asked for each kernel that is kept.
///
/// # Panics
/// If a directive is unknown or sections do not nest: a fault of the template, which a test of all templates finds.
pub(crate) fn expand(
    file: &str,
    text: &str,
    holds: &dyn Fn(&str) -> bool,
    signature: &dyn Fn(&str) -> String,
) -> String {
    let mut out = String::with_capacity(text.len());
    // Of each open section: whether the lines around it are kept, and whether its condition holds.
    let mut open: Vec<(bool, bool)> = Vec::new();
    let mut kept = true;
    for (number, line) in text.lines().enumerate() {
        let Some(directive) = line.trim_start().strip_prefix("//@") else {
            if kept {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        };
        let place = || format!("{file}:{}: `{}`", number + 1, line.trim());
        match directive.split_once(' ').unwrap_or((directive, "")) {
            ("if", name) => {
                let condition = holds(name);
                open.push((kept, condition));
                kept &= condition;
            }
            ("else", "") => {
                let (around, condition) = *open.last().unwrap_or_else(|| panic!("{}: no section", place()));
                kept = around && !condition;
            }
            ("end", "") => (kept, _) = open.pop().unwrap_or_else(|| panic!("{}: no section", place())),
            ("kernel", name) => {
                if kept {
                    out.push_str(&signature(name));
                }
            }
            _ => panic!("{}: unknown directive", place()),
        }
    }
    assert!(open.is_empty(), "{file}: {} sections are not closed", open.len());
    out
}

/// The text of a template.
///
/// # Panics
/// If there is none of that path: a launch table's typing error.
pub(crate) fn read(path: &str) -> &'static str {
    proxyattn_templates::file(path).unwrap_or_else(|| panic!("no template is called `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> String {
        expand("t.cuh", text, &|name| name == "YES", &|name| format!("void {name}()\n"))
    }

    #[test]
    fn sections_nest() {
        assert_eq!(
            run("a\n//@if YES\nb\n//@if NO\nc\n//@else\nd\n//@end\n//@else\ne\n//@end\nf\n"),
            "a\nb\nd\nf\n"
        );
        assert_eq!(
            run("//@if NO\n//@if YES\na\n//@else\nb\n//@end\n//@kernel k\n//@else\nc\n//@end\n"),
            "c\n"
        );
        assert_eq!(run("    //@kernel k\n{\n}\n"), "void k()\n{\n}\n");
    }

    #[test]
    #[should_panic(expected = "t.cuh:2: `//@fi`: unknown directive")]
    fn unknown_directives_are_faults() {
        run("a\n//@fi\n");
    }

    #[test]
    #[should_panic(expected = "not closed")]
    fn sections_are_closed() {
        run("//@if YES\n");
    }
}
