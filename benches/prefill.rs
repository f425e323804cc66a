//! CPU prefill against itself and against PyTorch, turn by turn on the same input.
//!
//! ```text
//! cargo bench --bench prefill -- [--input FILE.safetensors] [--rounds N] [--torch PYTHON]
//! cargo xtask bench-cpu [...]      the same, with PyTorch installed into target/ first
//! ```
//!
//! Every round times each contender once, in turn, so that a drift of the machine meets them all; reported are
//! medians and the medians of the ratios within a round. All stages are counted.

use half::bf16;
use proxyattn::{AttentionKernel, Device, Stage, StageTimes, Tensor, proxy_attention};
use safetensors::SafeTensors;
use std::{
    error::Error,
    io::{BufRead, BufReader, Lines, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Qkv = [Tensor<bf16>; 3];

/// Every block.
#[proxy_attention(head_dim = 64, budget = all)]
struct Dense;

/// A tenth of the causal tiles at 8192 tokens: the share is below 0.10 because each row's count is rounded up.
#[proxy_attention(head_dim = 64, budget = ratio(0.0905))]
struct Tenth;

/// The same with the keys strided too, as the paper does.
#[proxy_attention(head_dim = 64, budget = ratio(0.0905), stride = 4)]
struct TenthStrided;

/// The default configuration.
#[proxy_attention(head_dim = 64)]
struct Default64;

/// The default until counts followed the list: sums over all keys, and counts in each head's own order.
#[proxy_attention(
    head_dim = 64,
    scorer = proxy(sums = exact, scores = native),
    budget = dynamic(gamma = 0.9, order = own, weigh = none)
)]
struct OwnOrder;

struct Options {
    input: PathBuf,
    rounds: usize,
    torch: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = options()?;
    let qkv = load(&options.input)?;
    let [_, heads, tokens, _] = qkv[0].shape();
    let device = Device::cpu();
    println!(
        "{}: {tokens} tokens, {heads} query heads, {} KV heads",
        options.input.display(),
        qkv[1].shape()[1]
    );
    println!("{device}, {} rounds", options.rounds);

    let mut contenders = vec![
        Contender::new::<Dense>("dense", &device)?,
        Contender::new::<Tenth>("sparse, a tenth", &device)?,
        Contender::new::<TenthStrided>("sparse, a tenth, stride 4/4", &device)?,
        Contender::new::<Default64>("sparse, default", &device)?,
        Contender::new::<OwnOrder>("sparse, own order, exact", &device)?,
    ];
    let mut torch = options.torch.map(|python| Torch::start(&python, &options.input)).transpose()?;

    for round in 0..=options.rounds {
        let warm_up = round == 0;
        for contender in &mut contenders {
            contender.run(&qkv, warm_up)?;
        }
        if let Some(torch) = &mut torch {
            torch.run(warm_up)?;
        }
    }
    report(&contenders, torch.as_ref());
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options {
        input: concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/smollm2-layer13-4096.safetensors").into(),
        rounds: 9,
        torch: None,
    };
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench"); // cargo adds it
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("`{arg}` expects a value"))?;
        match arg.as_str() {
            "--input" => options.input = value.into(),
            "--rounds" => options.rounds = value.parse::<usize>()?.max(1),
            "--torch" => options.torch = Some(value.into()),
            _ => return Err(format!("unknown option `{arg}`: expected --input, --rounds or --torch").into()),
        }
    }
    Ok(options)
}

fn load(path: &PathBuf) -> Result<Qkv> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let tensor = |name| -> Result<Tensor<bf16>> {
        let tensor = file.tensor(name)?;
        let shape = tensor.shape().try_into().map_err(|_| format!("`{name}`: expected four dimensions"))?;
        let elements = tensor.data().chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]])).collect();
        Ok(Tensor::from_bhsd(elements, shape)?)
    };
    Ok([tensor("q")?, tensor("k")?, tensor("v")?])
}

/// One call of a kernel: its density and stages.
type Call = Box<dyn Fn(&Qkv) -> Result<(f64, StageTimes)>>;

/// One of our kernels, and what it took in each round.
struct Contender {
    name: &'static str,
    run: Call,
    density: f64,
    stages: StageTimes,
    times: Vec<Duration>,
}

impl Contender {
    fn new<K: AttentionKernel<Elem = bf16>>(name: &'static str, device: &Device) -> Result<Self> {
        let attention = K::load(device)?.with_dense_below(0);
        let run = move |[q, k, v]: &Qkv| {
            let trace = attention.prefill_traced(q, k, v, &())?;
            Ok((trace.selection.density(), trace.times))
        };
        let (stages, times) = (StageTimes::default(), Vec::new());
        Ok(Self { name, run: Box::new(run), density: 1.0, stages, times })
    }

    fn run(&mut self, qkv: &Qkv, warm_up: bool) -> Result<()> {
        let begun = Instant::now();
        (self.density, self.stages) = (self.run)(qkv)?;
        if !warm_up {
            self.times.push(begun.elapsed());
        }
        Ok(())
    }
}

/// PyTorch in a separate process, idle between requests.
struct Torch {
    process: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    version: String,
    times: Vec<Duration>,
}

impl Torch {
    fn start(python: &PathBuf, input: &PathBuf) -> Result<Self> {
        let mut process = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/sdpa.py"))
            .arg(input)
            .arg(rayon::current_num_threads().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let ask = process.stdin.take().ok_or("no pipe to PyTorch")?;
        let mut answers = BufReader::new(process.stdout.take().ok_or("no pipe from PyTorch")?).lines();
        let ready = answers.next().ok_or("PyTorch did not start")??;
        let version = ready.trim_start_matches("ready ").to_owned();
        Ok(Self { process, ask, answers, version, times: Vec::new() })
    }

    fn run(&mut self, warm_up: bool) -> Result<()> {
        writeln!(self.ask)?;
        let answer = self.answers.next().ok_or("PyTorch stopped")??;
        if !warm_up {
            self.times.push(Duration::from_secs_f64(answer.parse::<f64>()? / 1e3));
        }
        Ok(())
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it has nothing to save
        let _ = self.process.wait();
    }
}

fn report(contenders: &[Contender], torch: Option<&Torch>) {
    let dense = &contenders[0].times;
    println!(
        "\n{:<30}{:>9}{:>10}{:>11}  stages of the last round (ms)",
        "median", "ms", "density", "× dense"
    );
    for contender in contenders {
        let stages: Vec<_> = Stage::ALL
            .iter()
            .filter(|&&stage| !contender.stages.of(stage).is_zero())
            .map(|&stage| format!("{stage} {:.2}", ms(contender.stages.of(stage))))
            .collect();
        println!(
            "{:<30}{:>9.2}{:>10.4}{:>11.2}  {}",
            contender.name,
            ms(median(contender.times.clone())),
            contender.density,
            median_ratio(dense, &contender.times),
            stages.join(", ")
        );
    }
    if let Some(torch) = torch {
        let name = format!("PyTorch {} SDPA, f32", torch.version);
        println!("{name:<30}{:>9.2}", ms(median(torch.times.clone())));
        println!("\ndense against PyTorch: {:.2}×", median_ratio(&torch.times, dense));
    }
    println!("sparse at a tenth against dense: {:.2}×", median_ratio(dense, &contenders[1].times));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The median over the rounds of `a / b`.
fn median_ratio(a: &[Duration], b: &[Duration]) -> f64 {
    let mut ratios: Vec<_> = a.iter().zip(b).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}
