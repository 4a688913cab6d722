//! Any text as a `format`: parsed or refused, and what it has is found by name.

#![no_main]

use cronx_collector::tracepoint_format::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(format) = Format::parse(text) else { return };
    for (name, field) in format.fields() {
        assert!(field.offset.checked_add(field.size).is_some());
        // Of fields of one name the first counts.
        assert!(format.field(name).is_ok());
    }
    assert!(format.field("").is_err());
});
