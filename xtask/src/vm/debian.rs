//! Debian's kernels: which ones, and how they come here.
//!
//! apt fetches them, into folders of its own under the target folder and from the mirrors that this
//! machine's apt is told to use; nothing is installed, and the machine's own lists stay as they are.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::program;
use crate::ebpf::manifest::hash;
use crate::{apt, process};

/// A line of kernels, and the one of it that is known to boot.
pub(super) struct Series {
    /// What a person calls it.
    pub(super) name: &'static str,
    /// What all its packages' names begin with.
    prefix: &'static str,
    package: &'static str,
    version: &'static str,
    sha256: &'static str,
}

/// What all the packages' names end with: these have no drivers but a virtual machine's.
const FLAVOUR: &str = "-cloud-amd64";

/// From 7.2 on the image's package is empty, and the kernel lies in another.
pub(super) const SERIES: [Series; 5] = [
    Series {
        name: "5.10",
        prefix: "linux-image-5.10.",
        package: "linux-image-5.10.0-46-cloud-amd64",
        version: "5.10.262-1",
        sha256: "18d94781d1b3052e21967ac2262239e5f14fbf511d6c3e110629d7aa35340760",
    },
    Series {
        name: "6.1",
        prefix: "linux-image-6.1.",
        package: "linux-image-6.1.0-56-cloud-amd64",
        version: "6.1.192-2",
        sha256: "e7d02b943971edcb8790e256c02cfab3bca6c3d37c1bf25392a57c71300615ee",
    },
    Series {
        name: "6.12",
        prefix: "linux-image-6.12.",
        package: "linux-image-6.12.117+deb12-cloud-amd64",
        version: "6.12.117-1~deb12u1",
        sha256: "5195b288dec79e2981d6b84457f38b7ce7310a2d702930ec7d07209c7f78ce37",
    },
    Series {
        name: "6.18",
        prefix: "linux-image-6.18.",
        package: "linux-image-6.18.15+deb13-cloud-amd64",
        version: "6.18.15-1~bpo13+1",
        sha256: "5a507681ea8c978d02265a7fec2f02c9588fb48b54b7f71edc1059e86007f3ec",
    },
    Series {
        name: "newest",
        prefix: "linux-binary-unsigned-",
        package: "linux-binary-unsigned-7.3.4+deb13-cloud-amd64",
        version: "7.3.4-1~bpo13+1",
        sha256: "4dd49c9172767a16a8ebb3c61fb993e4c2e8deef082b64b38878b74b9638f704",
    },
];

/// Where the series are: what the archive calls itself, and the suite.
const SUITES: [(&str, &str); 3] = [
    ("Debian-Security", "bullseye-security"),
    ("Debian-Security", "bookworm-security"),
    ("Debian", "trixie-backports"),
];

/// Debian's package `debian-archive-keyring` has it, and it knows older and newer suites' keys.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A kernel that is here.
pub(super) struct Kernel {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) vmlinuz: PathBuf,
}

impl Kernel {
    /// The first two numbers of its release, such as `6.12`.
    pub(super) fn release(&self) -> String {
        self.version.split('.').take(2).collect::<Vec<_>>().join(".")
    }
}

/// The folder that apt works in.
pub(super) struct Archive {
    folder: PathBuf,
    updated: Cell<bool>,
}

impl Archive {
    /// Makes the folder. Asks nobody for anything yet.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let archive = Self { folder: folder.to_owned(), updated: Cell::new(false) };
        for part in ["apt/lists/partial", "apt/cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        Ok(archive)
    }

    /// The pinned kernel of a series; if the suites have it no more, their newest of that series.
    pub(super) fn kernel(&self, series: &Series) -> Result<Kernel> {
        let pinned = self.place(series.package, series.version);
        if pinned.vmlinuz.is_file() {
            return Ok(pinned);
        }
        self.update()?;
        if self.versions(series.package)?.iter().any(|version| version == series.version) {
            return self.fetch(pinned, Some(series.sha256));
        }
        let newest = self.newest(series)?;
        println!(
            "{}: {} {} is offered no more; taking {} {}",
            series.name, series.package, series.version, newest.package, newest.version
        );
        if newest.vmlinuz.is_file() { Ok(newest) } else { self.fetch(newest, None) }
    }

    fn place(&self, package: &str, version: &str) -> Kernel {
        let folder = self.folder.join(format!("{package}_{version}"));
        let (package, version) = (package.to_owned(), version.to_owned());
        Kernel { package, version, vmlinuz: folder.join("vmlinuz") }
    }

    fn newest(&self, series: &Series) -> Result<Kernel> {
        let names = process::output(self.apt("apt-cache").args(["pkgnames", series.prefix]))?;
        let names = names.lines().filter(|name| name.ends_with(FLAVOUR));
        let newest = names.max_by(|a, b| by_numbers(a, b));
        let newest = newest.with_context(|| format!("the suites have no {}*", series.prefix))?;
        let versions = self.versions(newest)?;
        let version = versions.first().with_context(|| format!("{newest} has no version"))?;
        Ok(self.place(newest, version))
    }

    /// The versions of a package that are offered, the newest first.
    fn versions(&self, package: &str) -> Result<Vec<String>> {
        let table = process::output(self.apt("apt-cache").args(["madison", package]))?;
        let version = |line: &str| Some(line.split('|').nth(1)?.trim().to_owned());
        Ok(table.lines().filter_map(version).collect())
    }

    fn fetch(&self, kernel: Kernel, pinned: Option<&str>) -> Result<Kernel> {
        let folder = tempfile::tempdir_in(&self.folder)?;
        let wanted = format!("{}={}", kernel.package, kernel.version);
        let mut download = self.apt("apt-get");
        process::run(download.current_dir(folder.path()).args(["download", &wanted]))?;
        let package = fs::read_dir(folder.path())?.next().context("apt downloaded nothing")??;
        if let Some(pinned) = pinned {
            let found = hash(&fs::read(package.path())?);
            ensure!(found == pinned, "{wanted} has the SHA-256 {found}, and {pinned} is pinned");
        }
        let unpacked = folder.path().join("vmlinuz");
        unpack(&package.path(), &unpacked)?;
        fs::create_dir_all(kernel.vmlinuz.parent().context("a file has a folder")?)?;
        // At the end and at once: a file that is there is whole.
        fs::rename(&unpacked, &kernel.vmlinuz)?;
        Ok(kernel)
    }

    /// Once is enough.
    fn update(&self) -> Result<()> {
        if !self.updated.get() {
            let sources = sources_list(&apt::mirrors()?)?;
            fs::write(self.folder.join("apt/sources.list"), sources)?;
            process::run(self.apt("apt-get").arg("update"))?;
            self.updated.set(true);
        }
        Ok(())
    }

    /// An apt program that knows nothing but our suites.
    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let own = |key: &str, part: &str| format!("{key}={}", self.folder.join(part).display());
        for option in [
            own("Dir::Etc::SourceList", "apt/sources.list"),
            "Dir::Etc::SourceParts=-".to_owned(),
            own("Dir::State::Lists", "apt/lists"),
            own("Dir::Cache", "apt/cache"),
            // The account that root's apt downloads as may not write here.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }
}

/// A line for each suite, from the mirror that this machine has for its archive.
fn sources_list(mirrors: &[apt::Mirror]) -> Result<String> {
    let line = |(label, suite): &(&str, &str)| {
        let mirror = mirrors.iter().find(|mirror| mirror.label == *label);
        let mirror = mirror.with_context(|| {
            format!("apt has no source of the archive {label} here, and {suite} is in it")
        })?;
        Ok(format!("deb [arch=amd64 signed-by={KEYRING}] {} {suite} main\n", mirror.site))
    };
    SUITES.iter().map(line).collect()
}

/// Takes the kernel out of its package, by way of `tar`.
fn unpack(package: &Path, vmlinuz: &Path) -> Result<()> {
    let mut tar = Command::new(program("dpkg-deb")?)
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb")?;
    let stream = tar.stdout.take().context("dpkg-deb has no output")?;
    let files = ["./boot/vmlinuz-*", "./usr/lib/modules/*/vmlinuz*"];
    // Where the kernel lies depends on its version: tar complains of the name that is not there.
    let kernel = Command::new("tar")
        .args(["--extract", "--to-stdout", "--wildcards"])
        .args(files)
        .stdin(stream)
        .stderr(Stdio::null())
        .output()
        .context("cannot run tar")?;
    tar.wait()?;
    if kernel.stdout.is_empty() {
        bail!("{} has no {}", package.display(), files.join(" and no "));
    }
    fs::write(vmlinuz, kernel.stdout).with_context(|| format!("cannot write {}", vmlinuz.display()))
}

/// Orders names by the numbers in them: 6.12.9 before 6.12.10.
fn by_numbers(a: &str, b: &str) -> Ordering {
    let numbers = |name: &str| {
        let digits = name.split(|c: char| !c.is_ascii_digit());
        digits.filter_map(|digits| digits.parse().ok()).collect::<Vec<u64>>()
    };
    numbers(a).cmp(&numbers(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_of_its_series() {
        for series in SERIES {
            assert!(series.package.starts_with(series.prefix), "{}", series.name);
            assert!(series.package.ends_with(FLAVOUR), "{}", series.name);
            assert_eq!(series.sha256.len(), 64, "{}", series.name);
        }
    }

    #[test]
    fn the_newest_is_so_by_number() {
        let names =
            ["linux-image-6.12.9-amd64", "linux-image-6.12.117-amd64", "linux-image-6.12.9+1"];
        assert_eq!(names.into_iter().max_by(|a, b| by_numbers(a, b)), Some(names[1]));
    }

    #[test]
    fn suites_come_from_this_machines_mirrors() {
        let mirror = |site: &str, label: &str| apt::Mirror {
            site: site.to_owned(),
            label: label.to_owned(),
        };
        let error = sources_list(&[mirror("x://a", "Debian")]).unwrap_err().to_string();
        assert!(error.starts_with("apt has no source of the archive Debian-Security"), "{error}");
        let mirrors = [mirror("x://a", "Debian"), mirror("x://b", "Debian-Security")];
        let list = sources_list(&mirrors).unwrap();
        assert!(list.contains(" x://b bullseye-security main\n"), "{list}");
        assert!(list.ends_with(" x://a trixie-backports main\n"), "{list}");
    }

    #[test]
    fn a_release_is_two_numbers() {
        let archive = Archive { folder: PathBuf::new(), updated: Cell::new(false) };
        assert_eq!(archive.place("x", "6.12.117-1~deb12u1").release(), "6.12");
    }
}
