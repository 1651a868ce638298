#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gitops_fuzz::application_set(data));
