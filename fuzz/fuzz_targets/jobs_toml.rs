//! Any text as a file of jobs: taken whole or refused with a reason, and what is taken keeps its word.

#![no_main]

use cronx_daemon::Jobs;
use cronx_scheduler::Utc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Jobs::parse(text) {
        Ok(jobs) => {
            assert!(!jobs.plans.is_empty(), "a file without a job is refused");
            for plan in jobs.plans.values() {
                // What is taken fires after now, so it does after 1970.
                let first = plan.spec.after(Utc(0)).expect("a job that never fires is refused");
                assert!(first > Utc(0));
            }
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
});
