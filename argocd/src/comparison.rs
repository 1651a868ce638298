//! How Argo CD compares what is desired with what is there.

mod ignore;

pub use self::ignore::{
    ComparisonError, Customizations, Hidden, IgnoreRules, InvalidCustomization, JqError,
};
