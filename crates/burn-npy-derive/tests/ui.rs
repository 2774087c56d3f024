//! What the macro says about a struct that cannot be a batch. None of these needs `burn-npy`.

#[test]
fn wrong_use_is_an_error_that_says_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
