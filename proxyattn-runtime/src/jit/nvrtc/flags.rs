//! The options of every compilation.
//!
//! They are the same everywhere, so that checks of a kernel's code examine the code that runs. Options that an older library
//! does not support are left out.
//!
//! | Option | From | Why |
//! |---|---|---|
//! | `--gpu-architecture=sm_XY` | | `sm_`, never `compute_`: the latter yields PTX and an empty cubin |
//! | `--std=c++17` | | the language of the templates |
//! | `--minimal` | 12.4 | no texture types or runtime API in the preamble: a faster front end, the same code |
//! | `--no-cache` | 12.9 | no second cache in the driver, and no `cuInit` from inside a compilation |
//! | `--modify-stack-limit=false` | | the compiler must not change the process's stack limit |
//! | `--ftz=true`, `--prec-div=false`, `--prec-sqrt=false` | | fast reciprocals without a slow path; `fmad` keeps its default |
//! | `--ptxas-options=-v` | | registers, stack and spills in the log |
//! | `--ptxas-options=--warn-on-spills` | | a warning for each kernel that spills |

use crate::jit::Target;

/// Options, and the first version that supports them.
const FIXED: [(&str, (u32, u32)); 9] = [
    ("--std=c++17", (11, 2)),
    ("--minimal", (12, 4)),
    ("--no-cache", (12, 9)),
    ("--modify-stack-limit=false", (11, 2)),
    ("--ftz=true", (11, 2)),
    ("--prec-div=false", (11, 2)),
    ("--prec-sqrt=false", (11, 2)),
    ("--ptxas-options=-v", (11, 2)),
    ("--ptxas-options=--warn-on-spills", (11, 2)),
];

/// The whole list: architecture, fixed options, the program's own.
pub(super) fn options(version: (u32, u32), target: Target, own: &[String]) -> Vec<String> {
    let fixed = FIXED.iter().filter(|(_, since)| version >= *since).map(|(option, _)| (*option).to_owned());
    std::iter::once(format!("--gpu-architecture={target}")).chain(fixed).chain(own.iter().cloned()).collect()
}

/// The fixed options of the newest library.
pub(in crate::jit) fn fixed() -> impl Iterator<Item = &'static str> {
    FIXED.iter().map(|(option, _)| *option)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_libraries_do_not_get_options_that_they_lack() {
        let options = |version| options(version, Target::SM_90A, &["-DSTAGES=3".into()]);
        assert_eq!(options((13, 0)).len(), FIXED.len() + 2);
        assert_eq!(options((13, 0))[0], "--gpu-architecture=sm_90a");
        assert_eq!(options((13, 0)).last().unwrap(), "-DSTAGES=3");
        assert!(!options((12, 8)).contains(&"--no-cache".to_owned()));
        assert!(options((12, 8)).contains(&"--minimal".to_owned()));
        assert!(!options((12, 3)).contains(&"--minimal".to_owned()));
    }
}
