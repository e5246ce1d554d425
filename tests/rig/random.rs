//! Random numbers that can be repeated, and the settings of the tests that take a count.

/// A seeded stream of numbers (splitmix64): the same seed gives the same races.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }

    /// The same, for what the database counts.
    #[allow(dead_code, reason = "the rig's part")]
    pub fn number(&mut self, most: i64) -> i64 {
        i64::try_from(self.below(most.unsigned_abs())).expect("small")
    }
}

/// The number in the environment variable `name`.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
