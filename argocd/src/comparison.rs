//! How Argo CD compares what is desired with what is there.
//!
//! ```text
//!   Pair { desired, live }
//!       │ tracking marks, fields of trusted managers       tracking, ignore
//!       │ read and written by the Go type of the kind      scheme
//!       │ what does not count is taken out                 normalize, ignore, known_types
//!       ├─> three-way, two-way ─> strategic merge patch    strategic (kinds in the scheme)
//!       │                    └──> JSON merge patch         merge_patch (all others)
//!       ├─> structured, server-side ─> managedFields       fields
//!       └─> Verdict: Compared { modified, predicted, live }, NeedsDryRun, Undecided
//! ```

mod compare;
mod difference;
mod fields;
mod ignore;
mod known_types;
mod merge_patch;
mod normalize;
mod object;
mod ownership;
mod resources_filter;
mod scheme;
mod secrets;
mod settings;
mod strategic;
mod tracking;
mod verdict;

pub use self::compare::{CompareError, Pair, Rules, compare, remarshalled};
pub use self::difference::{Difference, counterpart, differences};
pub use self::ignore::{
    ComparisonError, Customizations, Hidden, IgnoreRules, InvalidCustomization, JqError,
};
pub use self::ownership::{FieldManager, Ownership};
pub use self::resources_filter::{InvalidFilter, ResourcesFilter};
pub use self::secrets::hide_secret_data;
pub use self::settings::{ComparisonSettings, IgnoredStatus, KnownTypeField};
pub use self::strategic::PatchError;
pub use self::verdict::{
    Comparison, Generation, Method, NeedsDryRun, Strategy, StrategyChoice, Verdict,
};
