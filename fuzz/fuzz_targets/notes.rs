//! Any bytes as a binary with probes: no length in it is believed, and a name is one word of its notes.

#![no_main]

use cronx_collector::notes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut asked = 0;
    let found = notes::probes(|at, into| {
        asked += into.len();
        let from =
            usize::try_from(at).ok().and_then(|at| bytes.get(at..at.checked_add(into.len())?));
        from.map(|from| into.copy_from_slice(from)).is_some()
    });
    assert!(asked < 4 << 20, "{asked} bytes for {} that are there", bytes.len());
    for name in found.unwrap_or_default() {
        assert!(!name.contains('\0') && name.len() <= 3 * bytes.len());
    }
});
