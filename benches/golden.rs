//! How long `weir golden` takes for a large repository, and how much memory: ten thousand policies
//! are to take at most 20 s on two cores, and no more memory than a thousand but for their names.
//!
//! `cargo bench --bench golden`.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The most that ten thousand policies may take.
const GOAL: Duration = Duration::from_secs(20);

/// The most memory that each policy more may take: what is said of it, and not its texts.
const MOST_BYTES_EACH: u64 = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    println!("policies · what · time · most memory");
    let mut peaks: Vec<Vec<u64>> = Vec::new();
    for count in [1_000, 10_000] {
        let folder = tempfile::tempdir()?;
        policies(folder.path(), count, 3306)?;
        let mut took = Vec::new();
        for (what, arguments) in [("missing, --bless", &["--bless", "."][..]), ("current", &["."])]
        {
            took.push(run(folder.path(), count, what, arguments)?);
        }
        // One port more: another meaning of every policy.
        policies(folder.path(), count, 3307)?;
        took.push(run(folder.path(), count, "meaning changed", &["."])?);
        peaks.push(took.iter().map(|(_, peak)| *peak).collect());
        if count == 10_000 {
            let met = |met| if met { "met" } else { "missed" };
            for (at, what) in ["missing, --bless", "current", "meaning changed"].iter().enumerate()
            {
                println!("{what}, at most {} s: {}", GOAL.as_secs(), met(took[at].0 <= GOAL));
                let each = peaks[1][at].saturating_sub(peaks[0][at]) / 9_000;
                let is_flat = met(each <= MOST_BYTES_EACH);
                println!("{what}, at most {MOST_BYTES_EACH} bytes a policy: {is_flat} ({each})");
            }
        }
    }
    Ok(())
}

/// As many policies, a hundred a folder, each with a port of its own.
fn policies(folder: &Path, count: usize, excluded: usize) -> std::io::Result<()> {
    for number in 0..count {
        let folder = folder.join(format!("team-{}", number / 100));
        fs::create_dir_all(&folder)?;
        let text = format!(
            "sidecar web-{number} {{\n  inbound {{ exclude port 15020-15021, 15090 }}\n  outbound {{ \
             exclude to 169.254.169.254, 10.{}.0.0/16; exclude port {excluded}, {} }}\n}}\n",
            number % 256,
            10_000 + number
        );
        fs::write(folder.join(format!("web-{number}.weir")), text)?;
    }
    Ok(())
}

/// Runs weir; how long it takes, and the most memory that it has.
fn run(
    folder: &Path,
    count: usize,
    what: &str,
    arguments: &[&str],
) -> Result<(Duration, u64), Box<dyn Error>> {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("golden")
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        let known = fs::read_to_string(&status).unwrap_or_default();
        let line = known.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or_default() * 1024);
        thread::sleep(Duration::from_millis(5));
    }
    let took = begun.elapsed();
    println!("{count:>6} · {what} · {:.2} s · {} MB", took.as_secs_f64(), peak / 1_000_000);
    Ok((took, peak))
}
