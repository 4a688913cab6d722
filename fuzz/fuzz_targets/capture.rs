//! Any bytes as a Capture: read or refused, and what is read can be analysed and written again.

#![no_main]

use cronx_fuzz::check_balance;
use cronx_recording::Capture;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(capture) = Capture::read(bytes) else { return };
    check_balance(&capture);
    let written = capture.write(Vec::new()).expect("memory takes what is written");
    let again = Capture::read(written.as_slice()).expect("what is written is read");
    assert_eq!((again.header, again.records), (capture.header, capture.records));
});
