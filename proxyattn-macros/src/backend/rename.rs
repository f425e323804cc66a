//! A dependency on `proxyattn` under another name: `pa = { package = "proxyattn" }`.
//!
//! The generated code would not find the crate, and the compiler's own error says nothing of the key `crate`. The macro runs
//! inside the compiler, whose arguments name every dependency; where they cannot be read, that error remains.

/// The name that this crate's dependencies give to `proxyattn`, if it is another one.
pub(super) fn of_process() -> Option<String> {
    of_arguments(std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()))
}

/// The same in a command line with `--extern pa=/path/libproxyattn-0123456789abcdef.rmeta`.
fn of_arguments(arguments: impl Iterator<Item = String>) -> Option<String> {
    let mut renamed = None;
    let mut is_extern = false;
    for argument in arguments {
        let dependency = match argument.strip_prefix("--extern=") {
            Some(dependency) => Some(dependency),
            None => is_extern.then_some(argument.as_str()),
        };
        if let Some(dependency) = dependency {
            let (name, path) = dependency.split_once('=').unwrap_or((dependency, ""));
            // Options come before the name: `priv:pa`.
            let name = name.rsplit(':').next().unwrap_or(name);
            if name == "proxyattn" {
                return None;
            }
            let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
            let stem = file.strip_prefix("lib").unwrap_or(file).split(['-', '.']).next();
            if stem == Some("proxyattn") {
                renamed = Some(name.to_owned());
            }
        }
        is_extern = argument == "--extern";
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::of_arguments;

    fn renamed(line: &str) -> Option<String> {
        of_arguments(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn another_name_is_found() {
        let renamed_to = |name: &str| Some(name.to_owned());
        assert_eq!(renamed("rustc --extern pa=/t/deps/libproxyattn-0a1b.rmeta -C opt"), renamed_to("pa"));
        assert_eq!(
            renamed("rustc --extern=priv:pa=/t/libproxyattn.rlib --extern half=/t/x"),
            renamed_to("pa")
        );
        assert_eq!(renamed(r"rustc --extern pa=C:\t\libproxyattn-0a.rlib"), renamed_to("pa"));
    }

    #[test]
    fn other_dependencies_are_not() {
        assert_eq!(
            renamed("rustc --extern proxyattn=/t/libproxyattn-0a.rmeta --extern pa=/t/libproxyattn-0b.rmeta"),
            None
        );
        assert_eq!(renamed("rustc --extern pc=/t/libproxyattn_candle-0a.rmeta --extern proc_macro"), None);
        assert_eq!(renamed("rustc pa=/t/libproxyattn-0a.rmeta"), None);
        assert_eq!(renamed(""), None);
    }
}
