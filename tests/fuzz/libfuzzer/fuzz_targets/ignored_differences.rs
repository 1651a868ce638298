#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gitops_fuzz::ignored_differences(data));
