//! What a person has set up on the screen and wants to find again, kept in the profile: names and values
//! in the front end's own words. What they mean is the front end's business.

use std::collections::BTreeMap;

/// Every preference of a profile, by name.
pub type Preferences = BTreeMap<String, String>;

/// Preferences of a profile that are read.
pub const MAX_PREFERENCES: usize = 512;
