//! Names of tasks, symbols, paths: written by whoever runs code on the machine, so hostile.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A string from outside. It has no `Display`: choose the sink, and the encoder of that sink makes
/// it plain text there.
///
/// JSON needs no encoder here: `serde_json` escapes what JSON must.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untrusted(String);

impl Untrusted {
    /// Takes bytes as the kernel gives them: up to the first NUL, other than UTF-8 replaced.
    pub fn from_kernel(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        Self(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// The string itself, for comparing and for sinks that encode by themselves.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// For a terminal or a log line: control and direction-changing characters are spelled out.
    pub fn terminal(&self) -> impl fmt::Display + '_ {
        Encoded(&self.0, |c| is_control(c).then(|| spell(c)))
    }

    /// For Markdown, where it is text within a line: nothing in it is mark-up, and nothing HTML.
    pub fn markdown(&self) -> impl fmt::Display + '_ {
        Encoded(&self.0, |c| match c {
            '<' => Some("&lt;".to_owned()),
            '>' => Some("&gt;".to_owned()),
            '&' => Some("&amp;".to_owned()),
            c if is_control(c) => Some(format!("\\{}", spell(c))),
            c if c.is_ascii_punctuation() => Some(format!("\\{c}")),
            _ => None,
        })
    }

    /// For the words of a GitHub workflow command, its properties too: no line end, and nothing that
    /// parts one property from the next.
    pub fn workflow_command(&self) -> impl fmt::Display + '_ {
        Encoded(&self.0, |c| match c {
            '%' | ':' | ',' => Some(format!("%{:02X}", u32::from(c))),
            c if is_control(c) => Some(spell(c)),
            _ => None,
        })
    }

    /// For one frame of folded stacks: also `;`, which parts frames, and line ends.
    pub fn frame(&self) -> impl fmt::Display + '_ {
        Encoded(&self.0, |c| match c {
            ';' => Some(":".to_owned()),
            c if is_control(c) => Some(spell(c)),
            _ => None,
        })
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(text)
    }
}

struct Encoded<'a>(&'a str, fn(char) -> Option<String>);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match self.1(c) {
                Some(replaced) => f.write_str(&replaced)?,
                None => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// C0, DEL, C1, and the characters that reorder or hide text: bidi controls, zero-width
/// characters, line and paragraph separators, tags, the byte-order mark.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}'
            | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

fn spell(c: char) -> String {
    if u32::from(c) < 0x100 {
        format!("\\x{:02x}", u32::from(c))
    } else {
        c.escape_unicode().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "\x1b]0;x\x07</script>::error::";

    #[test]
    fn terminal_shows_controls_as_text() {
        let shown = Untrusted::from(CANARY).terminal().to_string();
        assert_eq!(shown, r"\x1b]0;x\x07</script>::error::");
        assert_eq!(Untrusted::from("a\u{202e}b").terminal().to_string(), r"a\u{202e}b");
        assert_eq!(Untrusted::from("\u{9b}2J").terminal().to_string(), r"\x9b2J");
    }

    #[test]
    fn markdown_is_never_marked_up() {
        let shown = Untrusted::from(CANARY).markdown().to_string();
        assert_eq!(shown, r"\\x1b\]0\;x\\x07&lt;\/script&gt;\:\:error\:\:");
        let shown = Untrusted::from("*a* `b` [c](d) | &lt;\n# e").markdown().to_string();
        assert_eq!(shown, r"\*a\* \`b\` \[c\]\(d\) \| &amp;lt\;\\x0a\# e");
    }

    #[test]
    fn a_workflow_command_never_ends_early() {
        let shown = Untrusted::from("a%0A,b=c::error::\r\nd").workflow_command().to_string();
        assert_eq!(shown, r"a%250A%2Cb=c%3A%3Aerror%3A%3A\x0d\x0ad");
    }

    #[test]
    fn a_frame_never_parts() {
        let shown = Untrusted::from("a;b\nc 12").frame().to_string();
        assert_eq!(shown, r"a:b\x0ac 12");
    }

    #[test]
    fn kernel_bytes_end_at_nul() {
        assert_eq!(Untrusted::from_kernel(b"host\0er/0\0\0").raw(), "host");
        assert_eq!(Untrusted::from_kernel(b"\xff\xfe").raw(), "\u{fffd}\u{fffd}");
    }
}
