//! How Argo CD compares what is desired with what is there.

mod difference;
mod ignore;
mod ownership;

pub use self::difference::{Difference, differences};
pub use self::ignore::{
    ComparisonError, Customizations, Hidden, IgnoreRules, InvalidCustomization, JqError,
};
pub use self::ownership::{FieldManager, Ownership};
