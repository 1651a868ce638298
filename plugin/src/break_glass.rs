//! Overrides on the objects of a cluster: who set which, what they are good for, and how they are
//! written.
//!
//! - [`live`]: an object as it is, and what the rules say of it.
//! - [`status`]: what there is to show of it.
//! - [`overruled`]: what the rules say of an object when the overrides that there are count.
//! - [`grants`]: who wrote them, as far as Events tell.
//! - [`answer`]: who may write them.
//! - [`attempt`]: what Argo CD gave up on when the webhook refused it.

pub(crate) mod answer;
pub(crate) mod attempt;
pub(crate) mod grants;
pub(crate) mod live;
pub(crate) mod overruled;
pub(crate) mod status;

pub(crate) use self::answer::{Allowed, Answer};
pub(crate) use self::attempt::Attempt;
pub(crate) use self::grants::Grants;
pub(crate) use self::live::{Judgement, Live, Override};
pub(crate) use self::status::{OverrideStatus, State};
