//! How an installation of Argo CD is set up: what `argocd-cm` and `argocd-cmd-params-cm` say, in
//! which namespaces it reads objects, and which fields its definitions keep.

mod config_map;
mod definition;
mod namespaces;
mod parameters;

pub use self::config_map::{Settings, SettingsConfigMap};
pub use self::definition::{DefinitionError, InstalledApi};
pub use self::namespaces::Namespaces;
pub use self::parameters::ParametersConfigMap;
