use proptest::collection::vec;
use proptest::prelude::*;

use crate::tcp::exercise::exercise;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_input_breaks_a_promise(input in vec(any::<u8>(), 0..600)) {
        exercise(&input);
    }
}
