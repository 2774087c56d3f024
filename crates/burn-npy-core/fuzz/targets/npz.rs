//! Any bytes as a `.npz` archive give errors, or members with the right checksums.
#![no_main]

use burn_npy_core::file::{Limits, Npz, OpenOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::new()
        .member_bytes(1 << 20)
        .total_bytes(4 << 20)
        .memory_bytes(1 << 18);
    let options = OpenOptions::new().limits(limits);
    let Ok(npz) = Npz::from_bytes(data.to_vec(), options) else {
        return;
    };
    for name in npz.names() {
        let verified = npz.verify(name).is_ok();
        let header = npz.header(name);
        let Ok(array) = npz.array(name) else {
            continue;
        };
        // An array that opens has been verified, and its header equals that of `Npz::header`.
        assert!(verified && array.verify().is_ok(), "{name}");
        assert_eq!(header.unwrap().shape(), array.shape());
        let mut bytes = vec![0; array.nbytes()];
        array.read_bytes(0, &mut bytes).unwrap();
        let _ = array.read::<f32>();
    }
});
