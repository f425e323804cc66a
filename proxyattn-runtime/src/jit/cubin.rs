//! A compiled program, and the resource usage of its kernels from the compiler's log.

/// A loadable image with the log of its compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cubin {
    bytes: Vec<u8>,
    log: String,
    kernels: Vec<KernelUsage>,
}

/// The resource usage of one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelUsage {
    /// The entry function, mangled unless it is `extern "C"`.
    pub name: String,
    /// Registers per thread.
    pub registers: u32,
    /// Local memory per thread, including spills and called functions.
    pub stack_bytes: u32,
    /// Spilled bytes that are written to local memory.
    pub spill_stores: u32,
    /// Spilled bytes that are read back.
    pub spill_loads: u32,
}

impl Cubin {
    /// An image and its compilation log.
    pub fn new(bytes: Vec<u8>, log: String) -> Self {
        let kernels = kernels(&log);
        Self { bytes, log, kernels }
    }

    /// The image.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The compiler's log: resource usage, warnings, and advisories about serialised code.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The target according to the log: `sm_90a`.
    pub fn target(&self) -> Option<&str> {
        let (_, rest) = self.log.split_once("' for '")?;
        rest.split('\'').next()
    }

    /// Every kernel, in the order of the log.
    pub fn kernels(&self) -> &[KernelUsage] {
        &self.kernels
    }

    /// One kernel by name.
    pub fn kernel(&self, name: &str) -> Option<&KernelUsage> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }
}

/// Parses the output of `--ptxas-options=-v`. Unknown lines are skipped: the format is not guaranteed, and a cubin is usable
/// without these figures.
fn kernels(log: &str) -> Vec<KernelUsage> {
    let mut kernels: Vec<KernelUsage> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let name = rest.split('\'').next().unwrap_or(rest).to_owned();
            kernels.push(KernelUsage { name, registers: 0, stack_bytes: 0, spill_stores: 0, spill_loads: 0 });
        }
        let Some(kernel) = kernels.last_mut() else { continue };
        if let Some(bytes) = before(line, " bytes stack frame") {
            kernel.stack_bytes += bytes;
            kernel.spill_stores += before(line, " bytes spill stores").unwrap_or(0);
            kernel.spill_loads += before(line, " bytes spill loads").unwrap_or(0);
        } else if let Some((_, rest)) = line.split_once("Used ") {
            kernel.registers = before(rest, " registers").unwrap_or(kernel.registers);
        }
    }
    kernels
}

/// The number directly before `unit`.
fn before(line: &str, unit: &str) -> Option<u32> {
    let (head, _) = line.split_once(unit)?;
    head.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_for_each_kernel() {
        let log = "\
            ptxas info    : 0 bytes gmem\n\
            ptxas info    : Compiling entry function 'score' for 'sm_90a'\n\
            ptxas info    : Function properties for score\n\
            ptxas         .     48 bytes stack frame, 44 bytes spill stores, 40 bytes spill loads\n\
            ptxas info    : Function properties for helper\n\
            ptxas         .     16 bytes stack frame, 0 bytes spill stores, 8 bytes spill loads\n\
            ptxas info    : Used 168 registers, used 16 barriers, 360 bytes cmem[0]\n\
            ptxas info    : Compiling entry function 'pool' for 'sm_90a'\n\
            ptxas info    : Used 8 registers, used 0 barriers\n";
        let cubin = Cubin::new(vec![1], log.into());
        let [score, pool] = cubin.kernels() else { panic!("{:?}", cubin.kernels()) };
        assert_eq!((score.name.as_str(), score.registers, score.stack_bytes), ("score", 168, 64));
        assert_eq!((score.spill_stores, score.spill_loads), (44, 48));
        assert_eq!((pool.name.as_str(), pool.registers, pool.spill_loads), ("pool", 8, 0));
        assert_eq!(cubin.kernel("pool"), Some(pool));
        assert_eq!(cubin.kernel("attend"), None);
        assert_eq!(cubin.target(), Some("sm_90a"));
    }

    #[test]
    fn an_unknown_log_is_no_obstacle() {
        let log =
            "Used registers\nCompiling entry function 'x\n bytes stack frame Used 99999999999 registers\n";
        assert_eq!(Cubin::new(vec![], log.into()).kernel("x").unwrap().registers, 0);
        let silent = Cubin::new(vec![], String::new());
        assert!(silent.kernels().is_empty() && silent.target().is_none());
    }
}
