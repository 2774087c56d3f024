//! Any bytes as a header give an error, or a header that is consistent.
#![no_main]

use burn_npy_core::file::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(header) = Header::parse(data) else {
        return;
    };
    assert!(header.data_offset() <= data.len());
    let items = header.shape().iter().product::<usize>();
    assert_eq!(header.nbytes(), items * header.item().size());
    // The displayed dtype parses to the same dtype.
    let descr = header.item().to_string();
    let descr = if descr.starts_with('[') {
        descr
    } else {
        format!("'{descr}'")
    };
    let shape: String = header.shape().iter().map(|len| format!("{len},")).collect();
    let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({shape})}}");
    let mut again = b"\x93NUMPY\x03\x00".to_vec();
    again.extend((text.len() as u32).to_le_bytes());
    again.extend(text.bytes());
    if text.len() < 10_000 {
        let again = Header::parse(&again).unwrap();
        assert_eq!(
            (again.item(), again.shape()),
            (header.item(), header.shape())
        );
    }
});
