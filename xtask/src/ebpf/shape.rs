//! What an object consists of, whichever compiler made it: programs, maps, globals.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};

/// `section/symbol` for everything that a loader finds by name. Functions that programs share
/// are left out: a compiler may inline them or not.
pub(super) fn of(object: &[u8]) -> Result<BTreeSet<String>> {
    let file = ElfFile64::<Endianness>::parse(object).context("the object is no 64-bit ELF")?;
    let mut shape = BTreeSet::new();
    for symbol in file.symbols() {
        let Some(section) = symbol.section_index() else { continue };
        let section = file.section_by_index(section)?;
        let section = section.name()?;
        if section != ".text" && symbol.is_global() && is_named(symbol.kind()) {
            shape.insert(format!("{section}/{}", symbol.name()?));
        }
    }
    Ok(shape)
}

fn is_named(kind: SymbolKind) -> bool {
    matches!(kind, SymbolKind::Text | SymbolKind::Data | SymbolKind::Unknown)
}

/// What one has and the other has not, as sentences.
pub(super) fn differences(committed: &BTreeSet<String>, rebuilt: &BTreeSet<String>) -> Vec<String> {
    let gone = committed.difference(rebuilt).map(|name| format!("{name} is committed alone"));
    let new = rebuilt.difference(committed).map(|name| format!("{name} is rebuilt alone"));
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn equal_shapes_do_not_differ() {
        assert!(
            differences(&shape(&["tp_btf/on_switch"]), &shape(&["tp_btf/on_switch"])).is_empty()
        );
    }

    #[test]
    fn each_side_names_what_the_other_lacks() {
        let differences = differences(&shape(&[".maps/RINGS"]), &shape(&[".maps/TASKS"]));
        assert_eq!(differences, [".maps/RINGS is committed alone", ".maps/TASKS is rebuilt alone"]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let error = of(b"not an object").unwrap_err();
        assert_eq!(error.to_string(), "the object is no 64-bit ELF");
    }
}
