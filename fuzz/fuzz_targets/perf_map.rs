//! Any bytes as a perf map: every line is a name or is counted, and no address has a foreign name.

#![no_main]

use cronx_collector::perf_map::PerfMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let map = PerfMap::parse(bytes);
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').count();
    assert!(map.len() + map.skipped() as usize <= lines);
    for line in String::from_utf8_lossy(bytes).lines() {
        let start = line.split(' ').next().unwrap_or_default();
        let Ok(start) = u64::from_str_radix(start, 16) else { continue };
        for address in [start.wrapping_sub(1), start, start.wrapping_add(1)] {
            assert!(map.lookup(address).is_none_or(|name| !name.raw().contains('\n')));
        }
    }
});
