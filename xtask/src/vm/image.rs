//! The types of a kernel, out of its boot image: `Documentation/arch/x86/boot.rst` of the kernel
//! says where the compressed kernel begins.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

use super::program;

/// Sectors of 512 bytes before the protected-mode part; it does not count the first.
const SETUP_SECTORS: usize = 0x1f1;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// The section `.BTF` of the kernel in a boot image.
pub(super) fn types(vmlinuz: &[u8]) -> Result<Vec<u8>> {
    let vmlinux = decompress(payload(vmlinuz).context("it is no boot image")?)?;
    let elf = object::File::parse(&*vmlinux).context("what it holds is no kernel")?;
    let types = elf.section_by_name(".BTF").context("the kernel has no section .BTF")?;
    Ok(types.data()?.to_vec())
}

fn payload(vmlinuz: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| {
        let bytes = vmlinuz.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    };
    let protected = (usize::from(*vmlinuz.get(SETUP_SECTORS)?) + 1) * 512;
    let payload = vmlinuz.get(protected + number(PAYLOAD_OFFSET)?..)?;
    // Its last four bytes are the kernel's length.
    payload.get(..number(PAYLOAD_LENGTH)?.checked_sub(4)?)
}

/// By the program that knows the format.
fn decompress(payload: &[u8]) -> Result<Vec<u8>> {
    let name = match payload {
        [0x02, 0x21, 0x4c, 0x18, ..] => "lz4",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => bail!("it is compressed in a way that is not known here"),
    };
    let mut child = Command::new(program(name)?)
        .args(["-d", "-q", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let mut stdin = child.stdin.take().context("a child with no input")?;
    // It writes before it has read all: both ends at once, or both wait.
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(payload));
        child.wait_with_output()
    })?;
    if !output.status.success() {
        bail!("{name} failed: {}", output.status);
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_where_the_header_says() {
        let mut image = vec![0; 1024];
        image[SETUP_SECTORS] = 1;
        image[PAYLOAD_OFFSET] = 3;
        image[PAYLOAD_LENGTH] = 9;
        image.extend(b"abcHELLO1234");
        assert_eq!(payload(&image), Some(&b"HELLO"[..]));
        assert_eq!(payload(&image[..1028]), None);
        assert_eq!(payload(b"MZ"), None);
    }
}
