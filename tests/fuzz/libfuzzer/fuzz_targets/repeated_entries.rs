#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gitops_fuzz::repeated_entries(data));
