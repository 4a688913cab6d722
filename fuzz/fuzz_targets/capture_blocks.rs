//! Sound blocks with any content: the analysis is total, and its sums hold.

#![no_main]

use cronx_fuzz::{check_balance, seal};
use cronx_recording::Capture;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plain: &[u8]| {
    if let Ok(capture) = Capture::read(seal(plain).as_slice()) {
        check_balance(&capture);
    }
});
