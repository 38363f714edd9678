//! One program for all fuzz targets: `VMDECK_FUZZ_TARGET` says which one it is. The targets themselves
//! are in `vmdeck::testing::fuzz`; one program instead of one each is linked once.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use vmdeck::testing::fuzz::{Target, find};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("VMDECK_FUZZ_TARGET").expect("VMDECK_FUZZ_TARGET names a target");
        let target = find(&name).expect("VMDECK_FUZZ_TARGET names one of vmdeck::testing::fuzz::TARGETS");
        TARGET.get_or_init(|| target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);
