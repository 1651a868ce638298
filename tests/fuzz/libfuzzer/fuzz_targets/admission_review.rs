#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gitops_fuzz::admission_review(data));
