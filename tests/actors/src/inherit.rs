use std::fs;
use std::path::PathBuf;

/// Writes down who it is and what it was given: the lines of `/proc/self/status` about identity and
/// capabilities, its descriptors, and the environment of its account.
#[derive(Debug, clap::Args)]
pub struct Inherit {
    /// The file to write.
    #[arg(long)]
    into: PathBuf,
}

impl Inherit {
    pub fn run(&self) {
        let status = fs::read_to_string("/proc/self/status").expect("every process has a status");
        let mut lines: Vec<String> = status
            .lines()
            .filter(|line| {
                ["Uid:", "Gid:", "Groups:", "CapEff:", "CapPrm:"]
                    .iter()
                    .any(|k| line.starts_with(k))
            })
            .map(str::to_owned)
            .collect();
        let folder = fs::read_dir("/proc/self/fd").expect("every process sees its descriptors");
        let mut descriptors: Vec<i32> =
            folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        descriptors.sort_unstable();
        // The last is the folder that is being read.
        descriptors.pop();
        lines.push(format!("Descriptors: {descriptors:?}"));
        lines.push(format!("Home: {}", std::env::var("HOME").unwrap_or_default()));
        fs::write(&self.into, lines.join("\n")).expect("the test gave a file that can be written");
    }
}
