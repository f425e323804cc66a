//! `proxyattn doctor`: what this machine can run, and how to fix what it cannot.
//!
//! The verdict comes first, then the facts that it rests on, each once. Long lists are for `--verbose`.

mod facts;
mod verdict;

use crate::args::DoctorArgs;
use crate::failure::{Outcome, Report};
use crate::style::{FAINT, TITLE, painted};
use crate::width::Width;
use facts::Fact;
use proxyattn_runtime::jit::{Env, Nvrtc};
use proxyattn_runtime::{DriverInfo, Error};
use verdict::Verdict;

/// Width of the left column.
const NAME: usize = 9;

pub(crate) fn run(args: &DoctorArgs) -> Outcome {
    let env = Env::process();
    let driver = DriverInfo::read();
    let nvrtc = Nvrtc::search(None, &env);
    let verdict = Verdict::of(&env, &nvrtc.found);
    let width = Width::stdout();

    let what = format!("{} {}.\n", painted(verdict.style, "This machine:"), verdict.what);
    let more = verdict.more.map_or(String::new(), |more| format!("  {more}\n"));
    let mut out = width.fit(&what, 2) + &width.fit(&more, 0) + "\n";
    let mut facts = facts::all(&env, driver.as_ref(), &nvrtc.found, args.verbose);
    facts.extend(Env::unknown().into_iter().map(|name| {
        let text = format!("{name}: not a variable of proxyattn");
        Fact { name: "ignored".into(), text }
    }));
    for Fact { name, text } in facts {
        out += &width.fit(&format!("{}{text}", painted(TITLE, format!("{name:<NAME$}"))), NAME);
        out.push('\n');
    }
    if args.verbose {
        if let Err(Error::DriverNotFound { searched }) = &driver {
            out += &list("searched for the driver", searched, width);
        }
        if !nvrtc.rejected.is_empty() {
            out += &list("searched for NVRTC", &nvrtc.rejected, width);
        }
    } else {
        let hint = "`proxyattn doctor --verbose` also lists what was searched, and every setting.";
        out += &format!("\n{}\n", painted(FAINT, width.fit(hint, 0)));
    }
    Ok(Report { text: out, code: verdict.code })
}

fn list(title: &str, places: &[String], width: Width) -> String {
    let lines = places.iter().map(|place| width.fit(&format!("  {place}\n"), 2));
    format!("\n{}\n{}", painted(TITLE, title), lines.collect::<String>())
}
