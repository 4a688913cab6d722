//! As much of Rust's grammar as the rules need: where code is, and where a function ends.

use std::ops::Range;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// From 1.
    pub(super) line: usize,
    /// From `fn` to the closing brace.
    pub(super) lines: usize,
}

/// The text with comments, strings and characters blanked; every newline stays.
pub(super) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = end_of_blank(bytes, at);
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    // Blanked bytes are whole characters: each piece begins and ends at ASCII.
    String::from_utf8_lossy(&code).into_owned()
}

/// Where the comment or literal that begins here ends; `at` itself if none begins.
fn end_of_blank(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    match rest[0] {
        b'/' if rest.starts_with(b"//") => at + find(rest, b"\n"),
        b'/' if rest.starts_with(b"/*") => end_of_block_comment(bytes, at),
        b'"' => end_of_string(bytes, at),
        b'r' if begins_word(bytes, at) => end_of_raw_string(bytes, at),
        b'\'' => end_of_character(bytes, at),
        _ => at,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).position(|window| window == needle).unwrap_or(haystack.len())
}

fn begins_word(bytes: &[u8], at: usize) -> bool {
    // `br"` begins a word at the `b`.
    at == 0 || !is_word(bytes[at - 1]) || (bytes[at - 1] == b'b' && begins_word(bytes, at - 1))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn end_of_block_comment(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut end) = (0, at);
    while end < bytes.len() {
        let step = &bytes[end..];
        if step.starts_with(b"/*") {
            (depth, end) = (depth + 1, end + 2);
        } else if step.starts_with(b"*/") {
            (depth, end) = (depth - 1, end + 2);
        } else {
            end += 1;
        }
        if depth == 0 {
            break;
        }
    }
    end
}

fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

fn end_of_raw_string(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|&&byte| byte == b'#').count();
    let quote = at + 1 + hashes;
    if bytes.get(quote) != Some(&b'"') {
        return at;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = &bytes[quote + 1..];
    (quote + 1 + find(body, &close) + close.len()).min(bytes.len())
}

/// A lifetime is no character: nothing closes it within one character.
fn end_of_character(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at + 1..];
    let length = match rest.first() {
        Some(b'\\') => 2 + find(rest.get(2..).unwrap_or_default(), b"'"),
        Some(&byte) => width(byte),
        None => return at,
    };
    if rest.get(length) == Some(&b'\'') { at + 2 + length } else { at }
}

fn width(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    }
}

/// Code with every `#[cfg(test)]` item blanked too.
pub(super) fn production(text: &str) -> String {
    let mut code = code(text);
    while let Some(at) = code.find("#[cfg(test)]") {
        let item = at..end_of_item(&code, at);
        let blank = blanked(&code[item.clone()]);
        code.replace_range(item, &blank);
    }
    code
}

/// The modules that are files of their own and are built for tests alone: `#[cfg(test)] mod a;`.
pub(super) fn test_modules(text: &str) -> Vec<String> {
    let code = code(text);
    let items = code.match_indices("#[cfg(test)]").map(|(at, _)| &code[at..end_of_item(&code, at)]);
    let name = |item: &str| {
        let (_, name) = item.strip_suffix(';')?.rsplit_once("mod ")?;
        Some(name.trim().to_owned())
    };
    items.filter_map(name).collect()
}

fn blanked(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

fn end_of_item(code: &str, at: usize) -> usize {
    match body(code, at) {
        Ok(body) => body.end,
        Err(end) => end,
    }
}

/// The braces that open next, or where a `;` ends the item before any do.
fn body(code: &str, from: usize) -> Result<Range<usize>, usize> {
    let mut brackets = 0_usize;
    for (offset, byte) in code[from..].bytes().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b';' if brackets == 0 => return Err(from + offset + 1),
            b'{' if brackets == 0 => return Ok(from + offset..closing(code, from + offset)),
            _ => {}
        }
    }
    Err(code.len())
}

/// Behind the brace that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code[open..].bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

/// Every function with a body; a nested one counts for itself and for its outer one.
pub(super) fn functions(text: &str) -> Vec<Function> {
    let code = code(text);
    let mut functions = Vec::new();
    for at in words(&code, "fn") {
        let name: String = code[at + 2..]
            .trim_start()
            .bytes()
            .take_while(|&b| is_word(b))
            .map(char::from)
            .collect();
        // `fn(u64)` is a type.
        if let (false, Ok(body)) = (name.is_empty(), body(&code, at)) {
            let lines = 1 + code[at..body.end].matches('\n').count();
            functions.push(Function { name, line: line(&code, at), lines });
        }
    }
    functions
}

/// Where the word stands, not as a part of a longer one. `a::b` and `print!` are words here.
pub(super) fn words(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let edge =
        |inner: u8, outer: Option<&u8>| !is_word(inner) || !outer.is_some_and(|&b| is_word(b));
    let (first, last) = (word.as_bytes()[0], word.as_bytes()[word.len() - 1]);
    let whole = |&at: &usize| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        edge(first, before) && edge(last, bytes.get(at + word.len()))
    };
    code.match_indices(word).map(|(at, _)| at).filter(whole).collect()
}

/// The line of a byte, from 1.
pub(super) fn line(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}
